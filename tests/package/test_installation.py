"""Bellflower and Flower installed with pip into one environment: both orders, and after one of them was uninstalled.

A stand-in for Flower has the names of its modules and its entry point. The environment has the dependencies of the
tests."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

#: Modules of Flower 2.2.0.
FLOWER_MODULES = (
    "__init__", "__main__", "api/__init__", "api/control", "api/tasks", "api/workers", "app", "command", "events",
    "inspector", "options", "urls", "utils/__init__", "utils/broker", "utils/search", "utils/tasks", "utils/template",
    "views/__init__",
)  # fmt: skip
ENTRY_POINTS = "[celery.commands]\nflower = flower.command:flower\n"
REMEDY = "pip uninstall -y flower && pip install --force-reinstall --no-deps bellflower"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheels of the stand-in for Flower and of Bellflower."""
    folder = tmp_path_factory.mktemp("wheels")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        pytest.skip("uv builds the wheel")
    subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)], check=True, timeout=120)
    (bellflower,) = folder.glob("*.whl")
    return flower_wheel(folder), bellflower


def flower_wheel(folder: Path) -> Path:
    program = "import click\nflower = click.Command('flower', callback=lambda: print('This is Flower'))\n"
    files = {f"flower/{name}.py": program if name == "command" else f"# {name}" for name in FLOWER_MODULES}
    metadata = "flower-2.2.0.dist-info"
    files |= {
        f"{metadata}/METADATA": "Metadata-Version: 2.1\nName: flower\nVersion: 2.2.0\n",
        f"{metadata}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{metadata}/entry_points.txt": ENTRY_POINTS,
    }
    record = "".join(f"{name},{_hash(text)},{len(text)}\n" for name, text in files.items())
    path = folder / "flower-2.2.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"{metadata}/RECORD": f"{record}{metadata}/RECORD,,\n"}.items():
            archive.writestr(name, text)
    return path


def _hash(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.decode().rstrip('=')}"


class Environment:
    """A virtual environment that also finds the packages of this one, without Bellflower's checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        (site_packages,) = folder.glob("lib/python*/site-packages")
        (site_packages / "dependencies.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n")

    def pip(self, *words: str) -> None:
        target = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", str(self.python)]
        subprocess.run([*target, *words], check=True, timeout=120, capture_output=True)

    def install(self, *wheels: Path) -> None:
        for wheel in wheels:
            self.pip("install", "--no-deps", "--no-index", "--force-reinstall", str(wheel))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(
            [str(self.python), *words], capture_output=True, text=True, check=False, timeout=60, cwd=self.folder,
            env=environment,
        )  # fmt: skip

    def flower(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.folder / "bin" / "flower"), *words)

    def celery_flower(self) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "celery", "flower", "--version")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path / "environment")


def test_bellflower_alone(environment: Environment, wheels: tuple[Path, Path]) -> None:
    environment.install(wheels[1])
    for finished in (environment.flower("--version"), environment.celery_flower()):
        assert (finished.returncode, finished.stderr) == (0, "")
        assert "Bellflower, version 0." in finished.stdout


def test_flower_installed_before_is_reported_and_bellflower_runs(
    environment: Environment, wheels: tuple[Path, Path]
) -> None:
    environment.install(*wheels)
    for finished in (environment.flower("--version"), environment.celery_flower()):
        assert finished.returncode == 0
        assert "Bellflower, version 0." in finished.stdout  # also where Celery uses the entry point of Flower
        assert finished.stderr.startswith("Warning: Flower is installed in this environment too.")
        assert finished.stderr.count(f"Run: {REMEDY}\n") == 1


def test_flower_installed_afterwards_is_an_error(environment: Environment, wheels: tuple[Path, Path]) -> None:
    environment.install(wheels[1], wheels[0])
    finished = environment.flower("--version")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr.startswith("Error: Flower is installed in this environment and has overwritten files")
    # Celery may use the entry point of Flower, whose files are complete; the report is printed in any case.
    assert f"Run: {REMEDY}\n" in environment.celery_flower().stderr


@pytest.mark.parametrize("flower_first", [True, False])
def test_uninstalled_flower_is_reported_and_the_remedy_works(
    flower_first: bool, environment: Environment, wheels: tuple[Path, Path]
) -> None:
    environment.install(*wheels if flower_first else reversed(wheels))
    environment.pip("uninstall", "-y", "flower")
    for finished in (environment.flower("--version"), environment.flower(), environment.celery_flower()):
        assert (finished.returncode, finished.stdout) == (1, "")
        assert finished.stderr.startswith("Error: ")
        assert "files of Bellflower are missing" in finished.stderr
        assert finished.stderr.endswith(f"Run: {REMEDY}\n")
    worker = environment.run("-m", "celery", "--version")  # other commands of Celery are not affected
    assert (worker.returncode, worker.stderr) == (0, "")
    environment.install(wheels[1])
    finished = environment.flower("--version")
    assert (finished.returncode, finished.stderr) == (0, "")


def test_compiled_modules_without_sources_are_complete(environment: Environment, wheels: tuple[Path, Path]) -> None:
    environment.install(wheels[1])
    (package,) = environment.folder.glob("lib/python*/site-packages/flower")
    subprocess.run([str(environment.python), "-m", "compileall", "-q", "-b", str(package)], check=True, timeout=120)
    for path in package.rglob("*.py"):
        path.unlink()
    finished = environment.flower("--version")
    assert (finished.returncode, finished.stderr) == (0, "")
