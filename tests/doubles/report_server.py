"""An HTTP server that takes reports, as an operator would write one, and the ways in which such a server fails."""

import hashlib
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Any, Final, Self

HUGE: Final = 30_000_000
"""Bytes of a body that no one should read."""


class ReportServer:
    """Takes reports that are signed well; a context manager. ``fails`` says what happens to the next ones instead."""

    def __init__(
        self, address: tuple[str, int] = ("127.0.0.1", 0), secret: bytes = b"", path: str = "/calls?from=sw1"
    ) -> None:
        self._address = address
        self._secret = secret
        self._path = path
        self.reports: list[dict[str, Any]] = []
        """Those that were taken, in order, repeated ones too."""
        self.fails: list[int | str] = []
        """For each of the next reports: a status, ``close``, ``silent`` or ``huge``."""
        self.faults: list[str] = []
        """Requests that no report may be."""
        self.attempts = 0
        self.arrived: list[tuple[float, bytes]] = []
        """Moment, on the monotonic clock, and body of each attempt that was signed well, whatever it was answered."""
        self._changed = Condition()
        self.closing = Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """Where reports are sent."""
        host, port = self._address
        return f"http://{host}:{port}{self._path}"

    def __enter__(self) -> Self:
        self.closing.clear()
        self._server = _Server(self._address, _Request)
        self._server.owner = self
        host, port = self._server.server_address[:2]
        self._address = str(host), int(port)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(self, count: int, within_s: float = 30.0) -> list[dict[str, Any]]:
        """Wait for so many different reports, and return them in the order in which they came first."""
        with self._changed:
            has_all = self._changed.wait_for(lambda: len(self._different()) >= count, within_s)
            assert has_all, f"{count} reports were expected: {self._different()}"
            return self._different()

    def wait_for_attempt(self, within_s: float = 30.0) -> None:
        """Wait until something was sent, whatever became of it."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.attempts, within_s)

    def taken(self) -> list[dict[str, Any]]:
        """Return all reports so far."""
        with self._changed:
            return list(self.reports)

    def different(self) -> list[dict[str, Any]]:
        """Return the reports without those that came again, as their id says."""
        with self._changed:
            return self._different()

    def _different(self) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for each in self.reports:
            found.setdefault(each["id"], each)
        return list(found.values())

    def take(self, path: str, headers: Any, body: bytes) -> int | str:
        """Return what a request is answered with."""
        with self._changed:
            self.attempts += 1
            self._changed.notify_all()
            if not headers["User-Agent"]:  # what stands before many servers refuses those that do not say who they are
                self.faults.append(f"{path} of no one")
                return 403
            stamp, signature = headers["X-Vosd-Timestamp"], headers["X-Vosd-Signature"]
            expected = None
            if self._secret:
                digest = hmac.new(self._secret, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
                expected = f"sha256={digest}"
            if signature != expected or path != self._path or headers["Content-Type"] != "application/json":
                self.faults.append(f"{path} {signature}")
                return 401
            self.arrived.append((time.monotonic(), body))
            answer = self.fails.pop(0) if self.fails else 200
            if answer in {200, "huge"}:
                self.reports.append(json.loads(body))
            return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    owner: ReportServer

    def handle_error(self, *_about: Any) -> None:
        """Say nothing: the client may hang up before it has the whole answer."""


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.owner.take(self.path, self.headers, body)
        if answer == "silent":
            self.server.owner.closing.wait(30)
        if answer in {"close", "silent"}:
            self.close_connection = True
            return
        self.send_response(200 if answer == "huge" else int(answer))
        if answer == 302:
            self.send_header("Location", self.server.owner.url)
        self.send_header("Content-Length", str(HUGE if answer == "huge" else 2))
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_about: Any) -> None:
        """Say nothing."""
