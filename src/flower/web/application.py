"""The ASGI application: mounts all routes, authorizes every request and converts exceptions to responses."""

import platform
import traceback
from functools import cache
from importlib.metadata import version
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Router
from starlette.routing import Route as StarletteRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from flower.api.context import Context
from flower.errors import FlowerError
from flower.http.access_control import authorize, denial_response
from flower.http.audit_middleware import audit_denied, run_audited
from flower.http.flower.metrics import get_metrics_public
from flower.http.flower.routes import FLOWER_ROUTES
from flower.http.flower.tasks import healthcheck
from flower.http.request_params import MAX_BODY_KEY, MAX_PUBLIC_BODY_SIZE
from flower.http.responses import STATUS_BY_CODE, flower_error_response, is_client_error, redirect, text_response
from flower.http.route import HttpRoute
from flower.http.v1.dispatch import (
    V1_HTTP_ROUTES,
    denied_response,
    error_response,
    http_error_response,
    internal_error_response,
)
from flower.http.v1.route import PREFIX
from flower.web.assets import ASSET_ROUTES
from flower.web.cookies import set_xsrf_cookie
from flower.web.login import LOGIN_ROUTES
from flower.web.middleware import SecurityHeadersMiddleware
from flower.web.pages import PAGE_ROUTES
from flower.web.rendering import error_page
from flower.web.request_log import log_denied

STATIC = Path(__file__).parent / "static"

#: Packages whose versions the error page shows with the option `debug`.
_DEBUG_PACKAGES = ("bellflower", "celery", "kombu", "starlette", "uvicorn")


def create_app(context: Context) -> ASGIApp:
    """The application below `context.root_path`. It uses neither the store nor the cluster before the first request."""
    http_routes = (*FLOWER_ROUTES, *V1_HTTP_ROUTES, *LOGIN_ROUTES, *ASSET_ROUTES, *PAGE_ROUTES)
    routes: list[BaseRoute] = [_mount_route(route, context) for route in http_routes]
    routes.append(Mount("/static", StaticFiles(directory=STATIC), name="static"))
    routes.append(StarletteRoute("/favicon.ico", _favicon))
    if context.root_path:
        router = Router(routes, redirect_slashes=False)
        routes = [StarletteRoute(context.root_path, _redirect_to_root), Mount(context.root_path, app=router)]
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
    """The application of a separate metrics port, without the URL prefix."""
    http_routes = (
        HttpRoute("GET", "/metrics", get_metrics_public, "public"),
        HttpRoute("GET", "/healthcheck", healthcheck, "public"),
    )
    app = Starlette(
        routes=[_mount_route(route, context) for route in http_routes],
        exception_handlers={FlowerError: _text_error, Exception: _text_internal_error},  # type: ignore[dict-item]
    )
    return SecurityHeadersMiddleware(app, context)


def _mount_route(route: HttpRoute, context: Context) -> BaseRoute:
    async def endpoint(request: Request) -> Response:
        if route.access == "public":
            request.scope[MAX_BODY_KEY] = MAX_PUBLIC_BODY_SIZE
        denial = await authorize(request, route.access, route.permission, context)
        if denial is not None:
            if denial.code == "forbidden":
                log_denied(request.scope, STATUS_BY_CODE[denial.code], denial.message)
            if route.audit_action:
                await audit_denied(request, context, route.audit_action, denial)
            return denied_response(denial) if _is_v1(request) else denial_response(denial)
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
    return redirect(f"{request.url.path}/")


def _is_api(request: Request) -> bool:
    context: Context = request.app.state.context
    return request.url.path.startswith(f"{context.root_path}/api/")


def _is_v1(request: Request) -> bool:
    context: Context = request.app.state.context
    return request.url.path.startswith(f"{context.root_path}{PREFIX}/")


async def _handle_flower_error(request: Request, error: FlowerError) -> Response:
    response = error_response(error) if _is_v1(request) else flower_error_response(error)
    if is_client_error(response.status_code):
        log_denied(request.scope, response.status_code, error.message)
    if _is_api(request):
        return response
    return error_page(request, response.status_code, error.message)


async def _handle_http_error(request: Request, error: HTTPException) -> Response:
    """An error of the framework: unknown path, wrong method, body too large."""
    if _is_v1(request):
        return http_error_response(error)
    not_found, wrong_method = STATUS_BY_CODE["not_found"], STATUS_BY_CODE["method_not_allowed"]
    status = error.status_code
    if status == not_found and request.method not in ("GET", "HEAD", "POST"):  # as in Flower
        status = wrong_method
    if _is_api(request) or status == wrong_method:
        return text_response("", status, error.headers)
    return error_page(request, status, _not_found_message(request) if status == not_found else error.detail)


def _not_found_message(request: Request) -> str:
    context: Context = request.app.state.context
    if f"{request.url.path}/".startswith(f"{context.root_path}/"):
        return "Page not found"
    return (
        f"Page not found: everything is served below {context.root_path}/ (option url_prefix). A reverse proxy must "
        "not remove this prefix"
    )


async def _text_error(request: Request, error: FlowerError) -> Response:
    return flower_error_response(error)


async def _text_internal_error(request: Request, error: Exception) -> Response:
    return text_response("", STATUS_BY_CODE["internal_error"])


async def _handle_exception(request: Request, error: Exception) -> Response:
    """The server logs the traceback. The response has no details, except on pages with the option `debug`."""
    if _is_v1(request):
        return internal_error_response()
    status = STATUS_BY_CODE["internal_error"]
    if _is_api(request):
        return text_response("", status)
    context: Context = request.app.state.context
    return error_page(request, status, "Internal server error", _debug_details(error) if context.debug else "")


def _debug_details(error: Exception) -> str:
    versions = [f"{package} {version(package)}" for package in _DEBUG_PACKAGES]
    return "\n".join([*traceback.format_exception(error), f"Python {platform.python_version()}", *versions])
