"""How much a browser has to fetch. Each file is counted as it is served: gzip, comments and all, no bundling. So the
figures are higher than those of a bundle, and nothing that is shipped escapes them."""

from flower.web.assets import Assets, assets

#: Bytes. The design's limits are for a bundle without comments: 90 KB, 60 KB and 12 KB. A bundle of the same files is
#: about two thirds of what is counted here.
ALL_JS, FIRST_JS, CSS = 165_000, 90_000, 18_000


def zipped(known: Assets, names: list[str]) -> int:
    return sum(len(known.files[name].zipped or b"") for name in names)


def test_bundle_sizes() -> None:
    known = assets()
    on_demand = {"vendor/dagre.js"}  # only for workflows of more than sixty tasks
    scripts = [name for name in known.files if name.endswith(".js") and name not in on_demand]
    styles = [name for name in known.files if name.endswith(".css")]
    first = list(known.modules("js/main.js", "js/pages/tasks.js"))
    figures = {"all": zipped(known, scripts), "first": zipped(known, first), "css": zipped(known, styles)}
    assert figures["all"] < ALL_JS, figures
    assert figures["first"] < FIRST_JS, figures
    assert figures["css"] < CSS, figures


def test_what_is_vendored_has_its_licence_beside_it() -> None:
    names = set(assets().files)
    licences = {name.rpartition("/")[2].removesuffix(".LICENSE") for name in names if name.endswith(".LICENSE")}
    assert {"preact", "signals", "htm", "uplot", "dagre", "inter", "jetbrains-mono"} <= licences
