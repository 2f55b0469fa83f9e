"""Gate in front of the API and the console: clients of other networks than ``api.allow`` get 403, whatever they ask."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from ipaddress import ip_network
from typing import Final

from vosd.api.http import Receive, Scope, Send, send_answer
from vosd.api.problems import problem
from vosd.base.networks import NetworkTable

Served = Callable[[Scope, Receive, Send], Awaitable[None]]

_DETAIL: Final = "this address may not ask here: api.allow has no network with it"


class AddressGate:
    """Passes the requests of some networks on; behind a trusted proxy the address is that of its client."""

    def __init__(self, served: Served, allow: Sequence[str]) -> None:
        self._served = served
        self._allow = NetworkTable((ip_network(network), None) for network in allow)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if self._admits(scope):
            await self._served(scope, receive, send)
            return
        answer = problem(HTTPStatus.FORBIDDEN, "address_not_allowed", _DETAIL)
        await send_answer(send, receive, answer, {}, method=scope["method"])

    def _admits(self, scope: Scope) -> bool:
        """Return whether the client's address is in one of the networks; one that is not known is not."""
        client = scope.get("client")
        try:
            return client is not None and self._allow.longest(client[0]) is not None
        except ValueError:
            return False
