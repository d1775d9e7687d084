"""Calling the handler of a route."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import Response

from flower.access.permissions import ANONYMOUS
from flower.api.context import Context
from flower.http.v1 import dispatch
from flower.http.v1.route import NoParams, RequestContext, Route, StreamingBody
from tests.helpers.api_v1 import memory


async def respond(ctx: RequestContext, params: NoParams, body: None) -> Response:
    return Response("ready")


async def stream(ctx: RequestContext, params: NoParams, body: None) -> StreamingBody:
    return StreamingBody("text/plain", iter([b"ready"]))


@pytest.mark.parametrize("handler", [respond, stream])
def test_finished_response_does_not_wait_for_a_thread(
    handler: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event stream that is cancelled while it waits would keep its subscription."""

    async def no_free_thread(function: Callable[[], Any]) -> Any:
        raise AssertionError("this result must not wait for a thread")

    monkeypatch.setattr(dispatch, "run_in_thread", no_free_thread)
    route = Route("GET", "/ready", "getReady", "stream", "Get ready", handler)
    ctx = RequestContext(Context(memory([]), lambda: None, None), ANONYMOUS)  # type: ignore[arg-type]
    result = asyncio.run(dispatch._call_handler(route, ctx, NoParams(), None))
    assert isinstance(result, Response | StreamingBody)
