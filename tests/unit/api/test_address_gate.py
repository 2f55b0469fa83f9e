"""Clients of other networks than ``api.allow`` get 403 before anything else is looked at."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from vosd.api.address_gate import AddressGate

ALLOW = ("192.0.2.0/24", "2001:db8::/32")


def answered(client: tuple[str, int] | None) -> int:
    """Return the status for a client; 200 is that of what stands behind the gate."""
    sent: list[MutableMapping[str, Any]] = []

    async def served(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "client": client}
    asyncio.run(AddressGate(served, ALLOW)(scope, receive, send))
    if sent[0]["status"] == 403:
        assert b"address_not_allowed" in sent[1]["body"]
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("client", "status"),
    [
        (("192.0.2.7", 1), 200),
        (("::ffff:192.0.2.7", 1), 200),
        (("2001:db8::7", 1), 200),
        (("198.51.100.7", 1), 403),
        (("2001:db9::7", 1), 403),
        (("unknown", 1), 403),
        (None, 403),
    ],
)
def test_a_client_passes_by_its_network(client: tuple[str, int] | None, status: int) -> None:
    assert answered(client) == status
