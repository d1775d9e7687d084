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

from flower.api.context import Context
from flower.errors import FlowerError
from flower.http.access_control import authorize, denial_response
from flower.http.audit_middleware import audit_denied, run_audited
from flower.http.flower.metrics import get_metrics_public
from flower.http.flower.routes import FLOWER_ROUTES, HttpRoute
from flower.http.flower.tasks import healthcheck
from flower.http.responses import flower_error_response, text_response
from flower.http.v1.dispatch import (
    V1_ROUTES,
    v1_denied_response,
    v1_error_response,
    v1_http_error_response,
    v1_internal_error_response,
)
from flower.http.v1.routes import PREFIX
from flower.web.assets import ASSET_ROUTES
from flower.web.cookies import set_xsrf_cookie
from flower.web.login import LOGIN_ROUTES
from flower.web.middleware import SecurityHeadersMiddleware
from flower.web.pages import CLUSTER_PAGE_ROUTES, SHELL_PAGE_ROUTES
from flower.web.rendering import error_page
from flower.web.request_log import log_denied

STATIC = Path(__file__).parent / "static"

#: Named on the page of an error with the option `debug`.
_DEBUG_PACKAGES = ("bellflower", "celery", "kombu", "starlette", "uvicorn")


def create_app(context: Context) -> ASGIApp:
    """Everything under `context.root`; nothing of it touches the store or the cluster before it is asked."""
    every = (*FLOWER_ROUTES, *V1_ROUTES, *LOGIN_ROUTES, *ASSET_ROUTES, *SHELL_PAGE_ROUTES, *CLUSTER_PAGE_ROUTES)
    routes: list[BaseRoute] = [_mount_route(route, context) for route in every]
    routes.append(Mount("/static", StaticFiles(directory=STATIC), name="static"))
    routes.append(StarletteRoute("/favicon.ico", _favicon))
    if context.root_path:
        below = Router(routes, redirect_slashes=False)
        routes = [StarletteRoute(context.root_path, _redirect_to_root), Mount(context.root_path, app=below)]
    app = Starlette(
        routes=routes,
        exception_handlers={
            FlowerError: _handle_flower_error,  # type: ignore[dict-item]
            HTTPException: _handle_http_error,  # type: ignore[dict-item]
            Exception: _handle_exception,
        },
    )
    app.router.redirect_slashes = False
    app.state.context = context
    return SecurityHeadersMiddleware(app, context)


def create_metrics_app(context: Context) -> ASGIApp:
    """Metrics alone, for a port of their own, which knows no prefix."""
    own = (
        HttpRoute("GET", "/metrics", get_metrics_public, "open"),
        HttpRoute("GET", "/healthcheck", healthcheck, "open"),
    )
    app = Starlette(
        routes=[_mount_route(route, context) for route in own],
        exception_handlers={FlowerError: _text_error, Exception: _text_internal_error},  # type: ignore[dict-item]
    )
    return SecurityHeadersMiddleware(app, context)


def _mount_route(route: HttpRoute, context: Context) -> BaseRoute:
    async def endpoint(request: Request) -> Response:
        objected = await authorize(request, route.access, route.permission, context)
        if objected is not None:
            if objected.code == "forbidden":
                log_denied(request.scope, 403, objected.message)
            if route.audit_action:
                await audit_denied(request, context, route.audit_action, objected)
            return v1_denied_response(objected) if _is_v1(request) else denial_response(objected)
        if route.audit_action:
            return await run_audited(request, context, route.audit_action, lambda: route.endpoint(request, context))
        response = await route.endpoint(request, context)
        if route.access == "page" and response.headers.get("content-type", "").startswith("text/html"):
            set_xsrf_cookie(request, response, context)
        return response

    return StarletteRoute(route.path, endpoint, methods=[route.method])


async def _favicon(request: Request) -> Response:
    return Response(_icon(), media_type="image/svg+xml")


@cache
def _icon() -> bytes:
    return (STATIC / "flower.svg").read_bytes()


async def _redirect_to_root(request: Request) -> Response:
    return RedirectResponse(f"{request.url.path}/", 302)


def _is_api(request: Request) -> bool:
    context: Context = request.app.state.context
    return request.url.path.startswith(f"{context.root_path}/api/")


def _is_v1(request: Request) -> bool:
    context: Context = request.app.state.context
    return request.url.path.startswith(f"{context.root_path}{PREFIX}/")


async def _handle_flower_error(request: Request, error: FlowerError) -> Response:
    answer = v1_error_response(error) if _is_v1(request) else flower_error_response(error)
    if 400 <= answer.status_code < 500:
        log_denied(request.scope, answer.status_code, error.message)
    if _is_api(request):
        return answer
    return error_page(request, answer.status_code, error.message)


async def _handle_http_error(request: Request, error: HTTPException) -> Response:
    """No such path, no such method, a body too large: said by the framework."""
    if _is_v1(request):
        return v1_http_error_response(error)
    # As in Flower: nothing that can be read or sent to is there, and nothing at all takes other methods.
    status = 405 if error.status_code == 404 and request.method not in ("GET", "HEAD", "POST") else error.status_code
    if _is_api(request) or status == 405:
        return text_response("", status, error.headers)
    return error_page(request, status, "There is no such page." if status == 404 else error.detail)


async def _text_error(request: Request, error: FlowerError) -> Response:
    return flower_error_response(error)


async def _text_internal_error(request: Request, error: Exception) -> Response:
    return text_response("", 500)


async def _handle_exception(request: Request, error: Exception) -> Response:
    """An error of ours. The server logs it with its traceback; people get no details, unless the server is being
    debugged."""
    if _is_v1(request):
        return v1_internal_error_response()
    if _is_api(request):
        return text_response("", 500)
    context: Context = request.app.state.context
    return error_page(request, 500, "Something went wrong here.", _debug_details(error) if context.debug else "")


def _debug_details(error: Exception) -> str:
    versions = [f"{part} {version(part)}" for part in _DEBUG_PACKAGES]
    return "\n".join([*traceback.format_exception(error), f"Python {platform.python_version()}", *versions])
