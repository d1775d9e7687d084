"""Entry points of the commands `flower` and `celery flower`, which report an installation that cannot work.

Bellflower and Flower share the import name `flower`, and pip installs both into one environment without a warning: the
files of one overwrite those of the other, and uninstalling Flower removes files of Bellflower. This module is outside
the package, so that it is still there then. It imports nothing that could be missing.
"""

import os
import sys
from functools import cache
from typing import Any

REMEDY = "pip uninstall -y flower && pip install --force-reinstall --no-deps bellflower"


def find_problem(site_packages: str) -> "tuple[str, bool]":
    """What is wrong with the installation in this directory ("" if nothing is), and whether Bellflower can run."""
    flower, bellflower = _find_distributions(site_packages)
    if not bellflower:  # installed in another way: a checkout, a zip file, a Debian package
        return "", True
    missing, changed = _compare_files(site_packages, bellflower)
    if missing:
        return (
            f"{len(missing)} files of Bellflower are missing, for example {missing[0]}. Uninstalling Flower after "
            "Bellflower was installed removes them",
            False,
        )
    if flower and changed:
        return f"Flower is installed in this environment and has overwritten files of Bellflower ({changed[0]})", False
    if flower:
        return "Flower is installed in this environment too. Both have the import name flower and share files", True
    return "", True


def _find_distributions(site_packages: str) -> "tuple[str, str]":
    """The metadata directories of Flower and Bellflower, "" if there is none."""
    found = {"flower": "", "bellflower": ""}
    try:
        names = os.listdir(site_packages)
    except OSError:
        names = []
    for name in names:
        distribution = name.partition("-")[0].lower()
        if name.endswith(".dist-info") and distribution in found:
            found[distribution] = os.path.join(site_packages, name)
    return found["flower"], found["bellflower"]


def _compare_files(site_packages: str, metadata: str) -> "tuple[list[str], list[str]]":
    """The missing modules of a distribution, and those that do not have the size that pip recorded."""
    missing, changed = [], []
    try:
        with open(os.path.join(metadata, "RECORD"), encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        return [], []
    for line in lines:
        name, _, size = line.rsplit(",", 2) if line.count(",") == 2 else ("", "", "")
        if not name.startswith("flower/") or not name.endswith(".py"):
            continue
        path = os.path.join(site_packages, name)
        try:
            if size and os.stat(path).st_size != int(size):
                changed.append(name)
        except OSError:
            if not os.path.exists(f"{path}c"):  # some images contain compiled modules only
                missing.append(name)
    return missing, changed


@cache
def _check_installation() -> bool:
    """Whether the command can run. Prints what is wrong, and the remedy, once."""
    problem, can_run = find_problem(os.path.dirname(os.path.abspath(__file__)))
    if problem:
        print(f"{'Warning' if can_run else 'Error'}: {problem}. Run: {REMEDY}", file=sys.stderr)  # noqa: T201
    return can_run


def main() -> None:
    """Run `flower`."""
    if not _check_installation():
        sys.exit(1)
    from flower.cli import main as run  # noqa: PLC0415 - may be missing

    run()


def __getattr__(name: str) -> Any:
    """`flower` is the command of `celery flower`. Celery imports the commands of all packages for each of its own
    commands, such as `celery worker`, which must not fail."""
    if name != "flower":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    if "flower" in sys.argv[1:] and not _check_installation():
        return _failing_command()
    from flower.cli import flower  # noqa: PLC0415 - may be missing

    return flower


def _failing_command() -> Any:
    """A command that ends at once: the reason has been printed."""
    import click  # noqa: PLC0415 - not needed by an intact installation

    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
    return click.Command("flower", callback=lambda: sys.exit(1), context_settings=settings)
