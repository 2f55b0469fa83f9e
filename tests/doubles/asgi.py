"""Requests to the application of the management API in this process, without a connection."""

import asyncio
import json
from typing import Any, NamedTuple

from doubles.documented import check_documented
from vosd.api.application import Application


class Answered(NamedTuple):
    """An answer."""

    status: int
    headers: list[tuple[str, str]]
    content: bytes

    @property
    def json(self) -> Any:
        """The content, which is JSON."""
        return json.loads(self.content)

    def header(self, wanted: str) -> list[str]:
        """Return the values of a header."""
        return [value for name, value in self.headers if name == wanted]


async def answered(
    application: Application,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    source: str = "192.0.2.1",
) -> Answered:
    """Send a request, whose path is below ``/api/v1``; the client goes when the answer begins.

    ``body`` is JSON, or bytes as they are.
    """
    target, _, query = path.partition("?")
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    given = {"content-type": "application/json", "content-length": str(len(content)), **(headers or {})}
    scope = {
        "type": "http", "method": method, "path": target, "raw_path": f"/api/v1{target}".encode(),
        "query_string": query.encode(), "client": (source, 5000),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip
    coming: list[Any] = [{"type": "http.request", "body": content}]
    sent: list[Any] = []
    has_begun = asyncio.Event()

    async def receive() -> Any:
        if coming:
            return coming.pop()
        await has_begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        has_begun.set()

    await application(scope, receive, send)
    named = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    found = Answered(sent[0]["status"], named, b"".join(each.get("body", b"") for each in sent[1:]))
    check_documented(method, f"/api/v1{target}", found.status, "".join(found.header("content-type")), found.content)
    return found
