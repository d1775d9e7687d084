"""The web application: two tables of routes, one guard in front of each route, errors to answers."""

import platform
import traceback
from functools import cache
from importlib.metadata import version
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Router
from starlette.routing import Route as StarletteRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from flower.api.answers import error_response, text_response
from flower.api.context import Context
from flower.api.guards import objection, refusal
from flower.api.metering import metrics_anyway
from flower.api.noting import note_refusal, noted
from flower.api.records import healthcheck
from flower.api.routes import ROUTES, Route
from flower.api.v1.http import V1_ROUTES, broken, no_route, problem, refused
from flower.api.v1.table import PREFIX
from flower.errors import FlowerError
from flower.web.cluster_pages import CLUSTER_PAGES
from flower.web.cookies import give_xsrf
from flower.web.headers import Headers
from flower.web.login import LOGIN
from flower.web.pages import PAGES, error_page
from flower.web.request_log import note_refused

STATIC = Path(__file__).parent / "static"

#: Named on the page of an error with the option `debug`.
_PARTS = ("bellflower", "celery", "kombu", "starlette", "uvicorn")


def create_app(context: Context) -> ASGIApp:
    """Everything under `context.root`; nothing of it touches the store or the cluster before it is asked."""
    every = (*ROUTES, *V1_ROUTES, *LOGIN, *CLUSTER_PAGES, *PAGES)
    routes: list[BaseRoute] = [_mounted(route, context) for route in every]
    routes.append(Mount("/static", StaticFiles(directory=STATIC), name="static"))
    routes.append(StarletteRoute("/favicon.ico", _favicon))
    if context.root:
        below = Router(routes, redirect_slashes=False)
        routes = [StarletteRoute(context.root, _to_root), Mount(context.root, app=below)]
    app = Starlette(
        routes=routes,
        exception_handlers={FlowerError: _failed, HTTPException: _refused, Exception: _broken},  # type: ignore[dict-item]
    )
    app.router.redirect_slashes = False
    app.state.context = context
    return Headers(app, context)


def create_metrics_app(context: Context) -> ASGIApp:
    """Metrics alone, for a port of their own, which knows no prefix."""
    own = (Route("GET", "/metrics", metrics_anyway, "open"), Route("GET", "/healthcheck", healthcheck, "open"))
    app = Starlette(
        routes=[_mounted(route, context) for route in own],
        exception_handlers={FlowerError: _plainly, Exception: _plainly_broken},  # type: ignore[dict-item]
    )
    return Headers(app, context)


def _mounted(route: Route, context: Context) -> BaseRoute:
    async def endpoint(request: Request) -> Response:
        objected = await objection(request, route.access, route.permission, context)
        if objected is not None:
            if objected.code == "forbidden":
                note_refused(request.scope, 403, objected.message)
            if route.action:
                await note_refusal(request, context, route.action, objected)
            return refused(objected) if _is_v1(request) else refusal(objected)
        if route.action:
            return await noted(request, context, route.action, lambda: route.endpoint(request, context))
        response = await route.endpoint(request, context)
        if route.access == "page" and response.headers.get("content-type", "").startswith("text/html"):
            give_xsrf(request, response, context)
        return response

    return StarletteRoute(route.path, endpoint, methods=[route.method])


async def _favicon(request: Request) -> Response:
    return Response(_icon(), media_type="image/svg+xml")


@cache
def _icon() -> bytes:
    return (STATIC / "flower.svg").read_bytes()


async def _to_root(request: Request) -> Response:
    return RedirectResponse(f"{request.url.path}/", 302)


def _is_api(request: Request) -> bool:
    context: Context = request.app.state.context
    return request.url.path.startswith(f"{context.root}/api/")


def _is_v1(request: Request) -> bool:
    context: Context = request.app.state.context
    return request.url.path.startswith(f"{context.root}{PREFIX}/")


async def _failed(request: Request, error: FlowerError) -> Response:
    answer = problem(error) if _is_v1(request) else error_response(error)
    if 400 <= answer.status_code < 500:
        note_refused(request.scope, answer.status_code, error.message)
    if _is_api(request):
        return answer
    return error_page(request, answer.status_code, error.message)


async def _refused(request: Request, error: HTTPException) -> Response:
    """No such path, no such method, a body too large: said by the framework."""
    if _is_v1(request):
        return no_route(error)
    # As in Flower: nothing that can be read or sent to is there, and nothing at all takes other methods.
    status = 405 if error.status_code == 404 and request.method not in ("GET", "HEAD", "POST") else error.status_code
    if _is_api(request) or status == 405:
        return text_response("", status, error.headers)
    return error_page(request, status, "There is no such page." if status == 404 else error.detail)


async def _plainly(request: Request, error: FlowerError) -> Response:
    return error_response(error)


async def _plainly_broken(request: Request, error: Exception) -> Response:
    return text_response("", 500)


async def _broken(request: Request, error: Exception) -> Response:
    """An error of ours. The server logs it with its traceback; people get no details, unless the server is being
    debugged."""
    if _is_v1(request):
        return broken()
    if _is_api(request):
        return text_response("", 500)
    context: Context = request.app.state.context
    return error_page(request, 500, "Something went wrong here.", _details(error) if context.debug else "")


def _details(error: Exception) -> str:
    versions = [f"{part} {version(part)}" for part in _PARTS]
    return "\n".join([*traceback.format_exception(error), f"Python {platform.python_version()}", *versions])
