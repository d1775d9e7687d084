"""`/metrics`, for Prometheus. Open without login, as in Flower, unless there is a token for it."""

import hmac
import os
import time
from itertools import count
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from flower.api.answers import text_response
from flower.api.context import Context
from flower.api.reading import read
from flower.errors import NotFound
from flower.metrics import CONTENT_TYPE

_NEEDED: Final = {"www-authenticate": 'Bearer realm="metrics"'}

_answers = count(1)


async def metrics(request: Request, context: Context) -> Response:
    if context.metrics_apart:
        raise NotFound("Metrics are served on a port of their own")
    return await metrics_anyway(request, context)


async def metrics_anyway(request: Request, context: Context) -> Response:
    if not _is_allowed(request, context.metrics_token):
        return text_response("Access denied", 401, _NEEDED)
    body = await read(lambda: context.metrics.text(context.records, context.ledger.samples, time.time()))
    # No answer is like the one before: to compare them by their text would cost as much as to make them.
    tag = f'W/"{os.getpid()}-{next(_answers)}"'
    return Response(body, headers={"content-type": CONTENT_TYPE, "etag": tag})


def _is_allowed(request: Request, token: str) -> bool:
    way, _, shown = request.headers.get("authorization", "").partition(" ")
    return not token or (way.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode()))
