"""Sizes of the page scripts of a release, as they are served: kilobytes with gzip."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from bench.install import ROOT
from bench.results import Measurement, Target, single_sample
from bench.runner import BenchmarkRun

#: Scripts that no page loads by itself.
ON_DEMAND = frozenset({"js/dagre.js"})


@contextmanager
def release_scripts() -> Iterator[None]:
    """A server that is started within serves the scripts of a release, which `scripts/bundle` joins."""
    # Imported here: a benchmark of Flower alone does not need Bellflower.
    from flower.web import assets  # noqa: PLC0415

    if assets.BUNDLE.exists():
        yield
        return
    subprocess.run([ROOT / "scripts" / "bundle"], check=True)
    try:
        yield
    finally:
        shutil.rmtree(assets.BUNDLE)


def scripts(bench: BenchmarkRun) -> Iterator[Measurement]:
    from flower.web import assets  # noqa: PLC0415

    with release_scripts():
        known = assets.load_assets(assets.BUNDLE)
    sizes = {name: len(file.gzipped or file.body) / 1000 for name, file in known.files.items() if name.endswith(".js")}
    total = sum(size for name, size in sizes.items() if name not in ON_DEMAND)
    pages = [f"js/pages/{path.name}" for path in (assets.SOURCES / "js" / "pages").iterdir()]
    first = {
        page: sum(map(sizes.__getitem__, {"theme-boot.js", *known.module_closure("js/main.js", page)}))
        for page in pages
    }
    yield _measurement("all scripts", total, 110, sizes)
    yield _measurement("scripts before the first content, largest page", max(first.values()), 55, first)


def _measurement(name: str, kilobytes: float, limit: float, more: dict[str, float]) -> Measurement:
    return Measurement(name, "kB gzip", {"bellflower": single_sample(kilobytes)}, Target("value", "<=", limit), more)
