"""A reverse proxy that forwards one path prefix, as in front of Flower, and rejects all other paths."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import httpx


class Proxy:
    def __init__(self, target: str, prefix: str) -> None:
        self._client = httpx.Client(base_url=target, timeout=30)
        client = self._client

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self.path.startswith(prefix):
                    return self.send_error(404)
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                kept = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
                headers = {**kept, "X-Real-Ip": "10.0.0.9", "X-Scheme": "https"}
                answer = client.request(self.command, self.path, content=body, headers=headers)
                self.send_response_only(answer.status_code)
                for name, value in answer.headers.items():
                    if name not in ("content-length", "transfer-encoding", "content-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)
                return None

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()
