"""The files of the pages: read once, served under an address with their version, so that browsers keep them for good.

The version is a hash of all of them: a module names its neighbours by relative addresses, so one that changed gives
every one of them a new address."""

import gzip
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from posixpath import dirname, normpath
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.thread_pool import run_in_thread
from flower.http.flower.routes import HttpRoute

_STATIC: Final = Path(__file__).parent / "static"

#: As they are written, and as `scripts/bundle` joins and minifies them for a release.
SOURCES: Final = _STATIC / "ui"
BUNDLE: Final = _STATIC / "ui-bundle"

#: Below the root of the server.
ASSETS_PREFIX: Final = "/static/ui"

_MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=UTF-8",
    ".css": "text/css; charset=UTF-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".LICENSE": "text/plain; charset=UTF-8",
}

#: A year, the longest that has a meaning.
_CACHE_FOREVER: Final = {"cache-control": "public, max-age=31536000, immutable"}

#: `import … from './x.js'` and `export … from './x.js'`, also minified; what is imported on demand is not meant.
_IMPORT: Final = re.compile(r"""(?:^|;)(?:import|export)\b[^;'"()]*?['"](\.{1,2}/[^'"]+)['"]""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    media_type: str
    body: bytes
    #: None where it would save nothing
    gzipped: bytes | None


@dataclass(frozen=True, slots=True)
class Assets:
    version: str
    files: dict[str, Asset]

    def url(self, root: str, name: str) -> str:
        return f"{root}{ASSETS_PREFIX}/{self.version}/{name}"

    def module_closure(self, *entries: str) -> tuple[str, ...]:
        """These modules and all that they import at once, so that a browser can ask for them together."""
        found: dict[str, None] = {}
        waiting = list(entries)
        while waiting:
            name = waiting.pop(0)
            if name in found or name not in self.files:
                continue
            found[name] = None
            text = self.files[name].body.decode()
            waiting += [normpath(f"{dirname(name)}/{each}") for each in _IMPORT.findall(text)]
        return tuple(found)


def load_assets(folder: Path) -> Assets:
    files = {
        path.relative_to(folder).as_posix(): _load_asset(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }
    everything = sha256()
    for name, asset in files.items():
        everything.update(f"{name}\0{len(asset.body)}\0".encode() + asset.body)
    return Assets(everything.hexdigest()[:12], files)


@cache
def default_assets() -> Assets:
    return load_assets(BUNDLE if BUNDLE.is_dir() else SOURCES)


def current_assets(context: Context) -> Assets:
    """With the option `debug` what was changed is served at once."""
    return load_assets(SOURCES) if context.debug else default_assets()


async def serve_asset(request: Request, context: Context) -> Response:
    """A version of another day is answered with today's file: a page that was open while the server was updated goes on
    until it is loaded again. It is not kept, though."""
    known = await run_in_thread(lambda: current_assets(context))
    found = known.files.get(request.path_params["name"])
    if found is None:
        return Response("", 404, {"content-type": "text/plain; charset=UTF-8"})
    kept = _CACHE_FOREVER if request.path_params["version"] == known.version else {"cache-control": "no-store"}
    headers = {**kept, "content-type": found.media_type, "vary": "accept-encoding"}
    if found.gzipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.gzipped, headers={**headers, "content-encoding": "gzip"})
    return Response(found.body, headers=headers)


#: Files are no secret: the page of the login uses them.
ASSET_ROUTES: tuple[HttpRoute, ...] = (
    HttpRoute("GET", f"{ASSETS_PREFIX}/{{version}}/{{name:path}}", serve_asset, "open"),
)


def _load_asset(path: Path) -> Asset:
    body = path.read_bytes()
    zipped = None if path.suffix == ".woff2" else gzip.compress(body, 9, mtime=0)
    return Asset(_MEDIA_TYPES[path.suffix], body, zipped)
