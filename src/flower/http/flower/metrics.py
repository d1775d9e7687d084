"""Route /metrics for Prometheus. It requires no login, as in Flower, but the token of `metrics_token` if one is set."""

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
from flower.http.responses import status_of, text_response
from flower.metrics import CONTENT_TYPE

_CHALLENGE: Final = {"www-authenticate": 'Bearer realm="metrics"'}

_response_numbers = count(1)


async def get_metrics(request: Request, context: Context) -> Response:
    if context.separate_metrics_port:
        raise NotFound("Metrics are served on a separate port")
    return await get_metrics_public(request, context)


async def get_metrics_public(request: Request, context: Context) -> Response:
    if not _has_valid_token(request, context.metrics_token):
        return text_response("Access denied", status_of("unauthenticated"), _CHALLENGE)
    depths = context.queue_depths.latest()
    body = await run_in_thread(
        lambda: context.metrics.render(context.recorded_reader, context.ledger.queue_samples, time.time(), depths)
    )
    # Every response differs from the last: an ETag that is a hash of the text would cost time and never match.
    tag = f'W/"{os.getpid()}-{next(_response_numbers)}"'
    return Response(body, headers={"content-type": CONTENT_TYPE, "etag": tag})


def _has_valid_token(request: Request, token: str) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return not token or (scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()))
