"""`/metrics`, for Prometheus. Open without login, as in Flower, unless there is a token for it."""

import hmac
import os
import time
from itertools import count
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context
from flower.api.thread_pool import run_in_thread
from flower.errors import NotFound
from flower.http.responses import text_response
from flower.metrics import CONTENT_TYPE

_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="metrics"'}

_response_numbers = count(1)


async def get_metrics(request: Request, context: Context) -> Response:
    if context.separate_metrics_port:
        raise NotFound("Metrics are served on a port of their own")
    return await get_metrics_public(request, context)


async def get_metrics_public(request: Request, context: Context) -> Response:
    if not _has_valid_token(request, context.metrics_token):
        return text_response("Access denied", 401, _CHALLENGE)
    body = await run_in_thread(
        lambda: context.metrics.render(context.recorded_reader, context.ledger.queue_samples, time.time())
    )
    # No answer is like the one before: to compare them by their text would cost as much as to make them.
    tag = f'W/"{os.getpid()}-{next(_response_numbers)}"'
    return Response(body, headers={"content-type": CONTENT_TYPE, "etag": tag})


def _has_valid_token(request: Request, token: str) -> bool:
    way, _, shown = request.headers.get("authorization", "").partition(" ")
    return not token or (way.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode()))
