"""``redirect_server``: an external server that is asked where calls go."""

from typing import Annotated

from vosd.base.host import is_address
from vosd.config.reader.addresses import destination
from vosd.config.reader.fields import KeyProblemError, Keys, milliseconds, switch
from vosd.trunks.gateways import Address


class RedirectServerKeys(Keys):
    """A SIP server that is sent an INVITE before a call is routed; its 300, 301 or 302 names the routing gateways.

    Default: none. A reload changes it.
    """

    address: Annotated[Address | None, destination()] = None
    """Address of the server, an IP address. The Contacts of its answer are tried in the order of their ``q``: the host
    names a routing gateway, the user part is the called number there; unknown hosts are ignored."""
    timeout: Annotated[int, milliseconds(50, 10_000)] = 2_000
    """Time that a call waits for the answer."""
    fail_open: Annotated[bool, switch()] = True
    """``yes``: after any other answer, or none, the switch routes the call itself; ``no``: it is refused with 503."""

    def _judge(self) -> None:
        if self.address is None and self.model_fields_set:
            raise KeyProblemError("address", "where the server is asked")
        if self.address is not None and not is_address(self.address.host):
            raise KeyProblemError("address", "an IP address")
