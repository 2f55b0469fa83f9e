"""An HTTPS server of certificates on this machine."""

import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple, Self


class Page(NamedTuple):
    """The answer to a request."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class CertificateServer(ThreadingHTTPServer):
    """Answers with what ``pages`` has, by path; a context manager that stops it."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), _Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []
        self.may_answer = Event()
        """Cleared: requests wait."""
        self.may_answer.set()
        self._thread = Thread(target=self.serve_forever, args=(0.01,), daemon=True)

    def url(self, path: str) -> str:
        """Return the address of a page."""
        return f"https://{self.server_address[0]}:{self.server_address[1]}{path}"  # type: ignore[str-bytes-safe]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.may_answer.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, _request: Any, _client_address: Any) -> None:
        """Say nothing: clients leave as they like."""


class _Handler(BaseHTTPRequestHandler):
    server: CertificateServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.may_answer.wait(30)
        is_known = bool(self.headers["User-Agent"])  # what stands before many servers refuses all others
        page = self.server.pages.get(self.path, Page(b"", 404)) if is_known else Page(b"", 403)
        self.send_response(page.status)
        for header in page.headers:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(page.body)))
        self.end_headers()
        self.wfile.write(page.body)

    def log_message(self, *_about: Any) -> None:
        """Say nothing."""
