"""Virtual environments of Flower 2.2.0 from PyPI and of older commits of Bellflower, kept between runs."""

import fcntl
import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKPLACE = ROOT / ".bench"
FLOWER = WORKPLACE / "flower-2.2.0"
REQUIREMENTS = ("flower==2.2.0", "celery[redis]")
#: Packages whose versions are part of the results.
REPORTED_PACKAGES = ("flower", "bellflower", "celery", "kombu", "amqp", "redis", "hiredis", "tornado")


def flower_python() -> Path:
    """The interpreter of the environment of Flower, which is created if missing, with the Python of this process."""
    python = FLOWER / "bin" / "python"
    finished = FLOWER / "finished"
    with _installing():
        if finished.exists():
            return python
        shutil.rmtree(FLOWER, ignore_errors=True)
        uv = shutil.which("uv")
        if uv:
            _run(uv, "venv", "--quiet", "--python", sys.executable, str(FLOWER))
            _run(uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *REQUIREMENTS)
        else:
            _run(sys.executable, "-m", "venv", str(FLOWER))
            _run(str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS)
        finished.touch()
    return python


def checkout_python(commit: str) -> Path:
    """The interpreter of an environment with Bellflower at this commit, which is created if it is missing."""
    name = subprocess.run(
        ["git", "rev-parse", "--short", f"{commit}^{{commit}}"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    folder = WORKPLACE / f"bellflower-{name}"
    python, finished = folder / ".venv" / "bin" / "python", folder / "finished"
    with _installing():
        if finished.exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        # The files alone: a worktree would have to be removed from the repository again.
        archive = subprocess.run(["git", "archive", name], check=True, capture_output=True, cwd=ROOT).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        uv = shutil.which("uv")
        if uv:
            _run(uv, "sync", "--quiet", "--frozen", "--no-dev", "--compile-bytecode", "--directory", str(folder))
        else:
            _run(sys.executable, "-m", "venv", str(folder / ".venv"))
            _run(str(python), "-m", "pip", "install", "--quiet", "--editable", str(folder))
        finished.touch()
        return python


def versions(python: Path) -> dict[str, str]:
    """Versions of the packages of REPORTED_PACKAGES in the environment of this interpreter."""
    script = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    )
    # Isolated: neither the working directory nor PYTHONPATH counts.
    output = subprocess.run([python, "-I", "-c", script], check=True, capture_output=True, cwd="/")
    installed: dict[str, str] = json.loads(output.stdout)
    return {name: installed[name] for name in REPORTED_PACKAGES if name in installed}


def has_bellflower() -> bool:
    """Whether Bellflower is installed here."""
    try:
        importlib.metadata.distribution("bellflower")
    except importlib.metadata.PackageNotFoundError:
        return False
    return (ROOT / "src" / "flower" / "cli.py").exists() or (ROOT / "src" / "flower" / "cli").is_dir()


@contextmanager
def _installing() -> Iterator[None]:
    """One process at a time: several runs of the chaos test begin together and need the same environment."""
    WORKPLACE.mkdir(parents=True, exist_ok=True)
    with (WORKPLACE / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str) -> None:
    # An activated environment must not be used.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(command, check=True, env=environment)
