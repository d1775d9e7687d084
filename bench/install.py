"""Flower 2.2.0 from PyPI, and older commits of Bellflower, each in an environment of its own, kept between runs."""

import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKPLACE = ROOT / ".bench"
FLOWER = WORKPLACE / "flower-2.2.0"
REQUIREMENTS = ("flower==2.2.0", "celery[redis]")
#: What is worth knowing of an environment when its figures are compared.
NOTABLE = ("flower", "bellflower", "celery", "kombu", "amqp", "redis", "hiredis", "tornado")


def flower_python() -> Path:
    """The interpreter of that environment, which is made if it is not there: the same Python as ours."""
    python = FLOWER / "bin" / "python"
    finished = FLOWER / "finished"
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
    """The interpreter of an environment that has Bellflower as it was at this commit, made if it is not there."""
    name = subprocess.run(
        ["git", "rev-parse", "--short", f"{commit}^{{commit}}"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.strip()
    folder = WORKPLACE / f"bellflower-{name}"
    python, finished = folder / ".venv" / "bin" / "python", folder / "finished"
    if finished.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    # The files alone: a worktree would have to be taken out of the repository's books again.
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
    """Versions of what matters in the environment of this interpreter."""
    script = (
        "import importlib.metadata as m, json, sys\n"
        "print(json.dumps({d.metadata['Name'].lower(): d.version for d in m.distributions()}))"
    )
    # Isolated, so that it is that environment and nothing of the folder it is asked from.
    answer = subprocess.run([python, "-I", "-c", script], check=True, capture_output=True, cwd="/")
    found: dict[str, str] = json.loads(answer.stdout)
    return {name: found[name] for name in NOTABLE if name in found}


def has_bellflower() -> bool:
    """Whether this checkout can be started."""
    try:
        importlib.metadata.distribution("bellflower")
    except importlib.metadata.PackageNotFoundError:
        return False
    return (ROOT / "src" / "flower" / "cli.py").exists() or (ROOT / "src" / "flower" / "cli").is_dir()


def _run(*command: str) -> None:
    # An environment that happens to be active is none of its business.
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(command, check=True, env=environment)
