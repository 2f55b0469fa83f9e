"""The management API as a process of its own, on a scratch installation; tokens are those of the test."""

import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from doubles.daemon import Forked
from doubles.documented import check_documented
from doubles.forked_api import run_api, run_forked_api
from doubles.process.daemon import Running
from vosd.admin.office.office import Office
from vosd.admin.office.principal import ALL, SHIPPED, Means, Permission, Principal, Role
from vosd.admin.office.tokens import UnauthorizedError
from vosd.api.application import Identify
from vosd.processes.entry import search_path

HOST: Final = "127.0.0.1"
START_S: Final = 60.0
JOB_S: Final = 120.0
ADMINISTRATOR: Final = "administrator"
"""Token with every permission."""
VIEWER: Final = "viewer"
AGENT: Final = "agent:"
"""Beginning of the token of an agent; the rest is its account."""
CUSTOMER: Final = "customer:"
"""Beginning of the token of a customer, with the permissions of the role that ships; the rest is its account."""
ONLY: Final = "only:"
"""Beginning of the token of a program with one permission; the rest is that."""
_READS: Final = frozenset(each for each in Permission if each.endswith(".see")) | {Permission.JOBS}


async def identify(_office: Office, token: str, source: str) -> Principal:
    """Return the principal of a token of the test."""
    role, account = Role.OPERATOR, None
    if token.startswith(AGENT):
        role, account = Role.AGENT, token.removeprefix(AGENT)
    elif token.startswith(CUSTOMER):
        role, account = Role.CUSTOMER, token.removeprefix(CUSTOMER)
    elif token.split("-")[0] not in {ADMINISTRATOR, VIEWER} and not token.startswith(ONLY):
        raise UnauthorizedError("the token is unknown")
    permissions = _READS if token.startswith(VIEWER) else ALL
    if role is Role.CUSTOMER:
        permissions = SHIPPED["customer"].permissions
    if token.startswith(ONLY):
        permissions = frozenset(map(Permission, token.removeprefix(ONLY).split(",")))
    return Principal(
        role=role, name=token, login=token, means=Means.TOKEN, permissions=permissions, source=source, account=account
    )


class Reply(NamedTuple):
    """An answer of the API."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        """The content, which is JSON."""
        return json.loads(self.content)


class Api:
    """The process; a context manager."""

    def __init__(
        self, config: Path, *, is_executed: bool = False, knows: Identify = identify, forks_jobs: bool = True
    ) -> None:
        """``is_executed``: not forked from a process that has imported everything, nor are its jobs.

        ``knows`` returns the principal of a token, in a forked one. Its jobs are executed unless it ``forks_jobs``.
        """
        self.config = config
        self._is_executed = is_executed
        self._knows = knows
        self.forks_jobs = forks_jobs
        self._process: Running | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it answers; one that does not answer well is ended."""
        with socket.create_server((HOST, 0)) as listener:
            self.port = listener.getsockname()[1]
            if self._is_executed:
                self._process = _executed(self.config, listener)
            else:
                environment = dict(os.environ)
                self._process = Forked(run_forked_api, self.config, listener, environment, self._knows, self.forks_jobs)
        try:
            assert self.ask("GET", "/health").status == 200
        except BaseException:  # no ``with`` statement ends one that did not begin
            self.kill()
            raise

    def stop(self) -> int:
        """End it by SIGTERM, and return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(START_S)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = ADMINISTRATOR,
        headers: dict[str, str] | None = None,
        base: str = "/api/v1",
    ) -> Reply:
        """Send a request; ``body`` is JSON, or bytes as they are."""
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token}")
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(HOST, self.port, timeout=START_S)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # one that is too large is answered unread
                connection.request(method, base + path, content, sent)
            found = connection.getresponse()
            reply = Reply(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())
        finally:
            connection.close()
        check_documented(method, base + path, reply.status, reply.headers.get("content-type", ""), reply.content)
        return reply

    def request(self, method: str, path: str, body: Any, *, headers: dict[str, str]) -> bytes:
        """Return the bytes of a request by the administrator, for a connection of the test's own."""
        content = json.dumps(body).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMINISTRATOR}\r\n"
            f"Content-Type: application/json\r\n{more}Content-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    def wait_for(self, queued: Reply) -> dict[str, Any]:
        """Return the job of an answer once it has ended."""
        assert queued.status == 202, queued.content
        place = queued.headers["location"].removeprefix("/api/v1")
        until = time.monotonic() + JOB_S
        while True:
            found: dict[str, Any] = self.ask("GET", place).json
            if found["ended"] is not None:
                return found
            assert time.monotonic() < until, found
            select.select([], [], [], 0.05)

    @property
    def url(self) -> str:
        """Beginning of all paths, for other clients."""
        return f"http://{HOST}:{self.port}/api/v1"

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection of HTTP, for answers that are read while they come."""
        return http.client.HTTPConnection(HOST, self.port, timeout=START_S)

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection((HOST, self.port), timeout=START_S)

    @property
    def resident_mib(self) -> float:
        """Memory that the process holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1_048_576


def _executed(config: Path, listener: socket.socket) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "doubles.api", str(config), str(listener.fileno())]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join((str(Path(__file__).parents[1]), search_path()))}
    return subprocess.Popen(words, pass_fds=[listener.fileno()], env=environ)


if __name__ == "__main__":
    run_api(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), identify)
