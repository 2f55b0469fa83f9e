"""Record-Route: the proxies that want to see the requests of a dialog (RFC 3261 section 20.30)."""

import re
from functools import lru_cache
from typing import Final

from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message, Request
from vosd.sip.wire.uri import Uri

_LOOSE: Final = re.compile(r";\s*lr\s*(?:[=;>]|\Z)", re.IGNORECASE)


def route_set(message: Message) -> tuple[str, ...]:
    """Return the proxies between us and the sender of a message, the nearest to us first (RFC 3261 section 12.1).

    A value without a readable URI is left out: nothing can be sent there, and as the first one it could stand in the
    request line. One with ``lr`` never does, so it stays: the proxy that wrote it may read it, and need it.
    """
    routes = tuple(filter(_is_stop, message.headers("record-route")))
    return routes if isinstance(message, Request) else routes[::-1]


def is_loose(route: str) -> bool:
    """Return whether a Route value is that of a loose router (RFC 3261 section 16.12)."""
    return _LOOSE.search(route) is not None


# The same proxies are in every call, so parsed ones are cached.
@lru_cache(maxsize=1024)
def _is_stop(route: str) -> bool:
    try:
        return Uri.parse(NameAddr.parse(route).uri).host != ""
    except ParseError:
        return is_loose(route)
