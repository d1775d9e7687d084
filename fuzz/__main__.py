"""Runs fuzz targets with Atheris, each in a process of its own, one after the other.

    python -m fuzz [--seconds N] [TARGET …]

Exit status 1 if a target failed. The input is then in `.fuzz/TARGET/crash-…`; copy it to `fuzz/corpus/TARGET/`, so that
`make test` runs it, and correct the defect. New inputs that reach more code are in `.fuzz/TARGET/`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CORPUS, WORK = ROOT / "fuzz" / "corpus", ROOT / ".fuzz"
#: Seconds for one input, and megabytes.
INPUT_TIMEOUT, MEMORY_LIMIT = 10, 2_048


def run_target(name: str) -> None:
    """Fuzz one target in this process; does not return. The arguments are those of libFuzzer."""
    import atheris  # noqa: PLC0415 - optional

    with atheris.instrument_imports(include=["flower", "fuzz"]):
        from fuzz.targets import TARGETS  # noqa: PLC0415 - imported with instrumentation

    atheris.Setup([sys.argv[0], *sys.argv[3:]], TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    from fuzz.targets import TARGETS  # noqa: PLC0415 - not in the process of a target

    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="time for each target")
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args()
    failed = []
    for name in options.targets or TARGETS:
        print(f"fuzz: {name}, {options.seconds} s", flush=True)
        work = WORK / name
        work.mkdir(parents=True, exist_ok=True)
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", "fuzz", "--target", name, f"-max_total_time={options.seconds}", "-max_len=4096",
            f"-timeout={INPUT_TIMEOUT}", f"-rss_limit_mb={MEMORY_LIMIT}", f"-artifact_prefix={work}/",
            str(work), str(CORPUS / name),
        ]  # fmt: skip
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"fuzz: failed: {', '.join(failed)}; see {WORK}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--target"]:
        run_target(sys.argv[2])
    sys.exit(main())
