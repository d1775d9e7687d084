"""Route /docs: Swagger UI, served from the package without requests to other hosts."""

from html import escape

from starlette.requests import Request
from starlette.responses import Response

from flower.api.context import Context

#: The policy of the other pages, and data URLs for the images in Swagger UI's style sheet.
DOCS_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; object-src 'none'; "
    "frame-ancestors 'none'"
)

_DOCS_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>HTTP API · Bellflower</title>
  <link rel="stylesheet" href="{root}/static/swagger/swagger-ui.css">
  <link rel="icon" type="image/svg+xml" href="{root}/static/flower.svg">
  <script src="{root}/static/swagger/swagger-ui-bundle.js" defer></script>
  <script src="{root}/static/swagger/start.js" defer></script>
</head>
<body>
  <main id="viewer" data-document="{root}/api/v1/openapi.json"></main>
  <noscript>The OpenAPI document is <a href="{root}/api/v1/openapi.json">openapi.json</a>.</noscript>
</body>
</html>
"""


async def docs_page(request: Request, context: Context) -> Response:
    page = _DOCS_PAGE.format(root=escape(context.root_path))
    headers = {"content-type": "text/html; charset=UTF-8", "content-security-policy": DOCS_PAGE_POLICY}
    return Response(page, headers=headers)
