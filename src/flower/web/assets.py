"""Static files of the pages: loaded once, and served at a URL with their version, so that browsers cache them forever.

The version is a hash of all files: modules import each other by relative URLs, so a change in one file changes the URLs
of all."""

import gzip
import json
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from posixpath import dirname, normpath
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.thread_pool import run_in_thread
from flower.http.responses import STATUS_BY_CODE, text_response
from flower.http.route import HttpRoute

_STATIC: Final = Path(__file__).parent / "static"

#: The source files, and the bundle that `scripts/bundle` joins and minifies for a release.
SOURCES: Final = _STATIC / "ui"
BUNDLE: Final = _STATIC / "ui-bundle"

#: In the bundle: the hash of the sources, and the file of the module of each page.
_BUNDLE_INFO: Final = "bundle.json"

#: Relative to the root of the server.
ASSETS_PREFIX: Final = "/static/ui"

#: The style sheets of STYLE_SHEET, in the order of the cascade.
STYLE_SHEETS: Final = (
    "css/tokens.css", "css/base.css", "css/shell.css", "css/controls.css", "css/panels.css",
    "css/states.css", "css/tables.css", "css/dialogs.css", "css/charts.css", "css/gaps.css", "css/search.css",
    "css/grid.css", "css/task.css", "css/timeline.css", "css/traceback.css", "css/payload.css", "css/graph.css",
    "css/overview.css", "css/failures.css", "css/workflows.css", "css/cluster.css",
)  # fmt: skip

#: The style sheet of the pages: one request instead of one for each file.
STYLE_SHEET: Final = "css/all.css"

_MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=UTF-8",
    ".css": "text/css; charset=UTF-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".LICENSE": "text/plain; charset=UTF-8",
}

#: One year, the maximum that caches respect.
_CACHE_FOREVER: Final = {"cache-control": "public, max-age=31536000, immutable"}

#: Static imports `import … from './x.js'` and `export … from './x.js'`, also minified; no dynamic ones.
_IMPORT: Final = re.compile(r"""(?:^|;)(?:import|export)\b[^;'"()]*?['"](\.{1,2}/[^'"]+)['"]""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    media_type: str
    body: bytes
    #: names of the modules that a module imports
    imports: tuple[str, ...]
    #: None if compression does not pay
    gzipped: bytes | None


@dataclass(frozen=True, slots=True)
class Assets:
    version: str
    files: dict[str, Asset]
    #: the files of the modules of pages, by their names in the sources; empty if each is a file of that name
    bundled_modules: dict[str, str]

    def url(self, root: str, name: str) -> str:
        return f"{root}{ASSETS_PREFIX}/{self.version}/{name}"

    def module_closure(self, *entries: str) -> tuple[str, ...]:
        """The files of the modules and of all their static imports, so that a browser can load them in parallel."""
        modules: dict[str, None] = {}
        pending = [self.bundled_modules.get(entry, entry) for entry in entries]
        while pending:
            name = pending.pop(0)
            if name in modules or name not in self.files:
                continue
            modules[name] = None
            pending += self.files[name].imports
        return tuple(modules)


def load_assets(directory: Path) -> Assets:
    paths = {
        path.relative_to(directory).as_posix(): path
        for path in sorted(directory.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }
    files = {name: _load_asset(name, path.read_bytes()) for name, path in paths.items()}
    files[STYLE_SHEET] = _load_asset(STYLE_SHEET, b"\n".join(files[name].body for name in STYLE_SHEETS))
    digest = sha256()
    for name, asset in files.items():
        digest.update(f"{name}\0{len(asset.body)}\0".encode() + asset.body)
    return Assets(digest.hexdigest()[:12], files, _bundle_info(directory).get("modules", {}))


def hash_sources(directory: Path = SOURCES) -> str:
    """The hash of all source files, which the bundle made from them contains."""
    digest = sha256()
    for path in sorted(path for path in directory.rglob("*") if path.is_file()):
        body = path.read_bytes()
        digest.update(f"{path.relative_to(directory).as_posix()}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()


def _bundle_info(directory: Path) -> dict[str, Any]:
    path = directory / _BUNDLE_INFO
    return dict(json.loads(path.read_bytes())) if path.is_file() else {}


@cache
def default_assets() -> Assets:
    """The bundle, unless it is missing or the sources have changed since it was made."""
    return load_assets(BUNDLE if _bundle_info(BUNDLE).get("sources") == hash_sources() else SOURCES)


async def load_current_assets(context: Context) -> Assets:
    """`current_assets`, in a thread unless they are loaded: pages do not wait while queries occupy all threads."""
    if not context.debug and default_assets.cache_info().currsize:
        return default_assets()
    return await run_in_thread(lambda: current_assets(context))


def current_assets(context: Context) -> Assets:
    """With the option `debug`, the source files are loaded for every request, so that changes are visible."""
    return load_assets(SOURCES) if context.debug else default_assets()


async def serve_asset(request: Request, context: Context) -> Response:
    """The present file, also for another version: a page that was open during an update of the server works until it is
    reloaded. Such a response is not cached."""
    assets = await load_current_assets(context)
    asset = assets.files.get(request.path_params["name"])
    if asset is None:
        return text_response("", STATUS_BY_CODE["not_found"])
    caching = _CACHE_FOREVER if request.path_params["version"] == assets.version else {"cache-control": "no-store"}
    headers = {**caching, "content-type": asset.media_type, "vary": "accept-encoding"}
    if asset.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.gzipped, headers={**headers, "content-encoding": "gzip"})
    return Response(asset.body, headers=headers)


#: Public: the login page uses them.
ASSET_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", f"{ASSETS_PREFIX}/{{version}}/{{name:path}}", serve_asset, "public"),
)


def _load_asset(name: str, body: bytes) -> Asset:
    suffix = PurePosixPath(name).suffix
    sources = _IMPORT.findall(body.decode()) if suffix == ".js" else []
    imports = tuple(normpath(f"{dirname(name)}/{source}") for source in sources)
    gzipped = None if suffix == ".woff2" else gzip.compress(body, 9, mtime=0)
    return Asset(_MEDIA_TYPES[suffix], body, imports, gzipped)
