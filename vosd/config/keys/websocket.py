"""``sip.websocket``: which web pages may use the listeners for SIP over WebSocket."""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator

from vosd.config.reader.fields import FromText, one_or_many
from vosd.config.reader.model import Keys
from vosd.net.settings import ANY_ORIGIN

_ORIGIN: Final = re.compile(r"https?://[a-z0-9.\-]+(?::[1-9]\d{0,4})?\Z|https?://\[[0-9a-f:.]+\](?::[1-9]\d{0,4})?\Z")


def origin() -> FromText:
    """Read the origin of a page (RFC 6454), as browsers send it, or ``*``."""

    def read(text: str) -> str:
        written = text.lower()
        if written != ANY_ORIGIN and not _ORIGIN.match(written):
            raise ValueError
        return written

    return FromText("scheme and host of a page, such as https://phone.example.org, or *", read)


class WebSocketKeys(Keys):
    """SIP over WebSocket (RFC 7118). A reload changes it for new connections."""

    origins: Annotated[tuple[Annotated[str, origin()], ...], BeforeValidator(one_or_many)] = ()
    """Pages whose scripts may connect, by scheme, host and port, as the Origin of their requests says; ``*`` for every
    page. Programs that send no Origin may always connect. Needed where `sip.listen` has a ``ws:`` or a ``wss:``
    socket."""
