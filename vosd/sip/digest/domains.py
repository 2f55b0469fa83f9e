"""Domain of a user, where several domains share one switch (RFC 3261 section 22.1)."""

from collections.abc import Container

from vosd.base.host import plain_host
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import Uri


def domain_of(request: Request, domains: Container[str]) -> str:
    """Return the domain of a request's user, one of those given; empty if it names none of them.

    It is the host of the registered address (To of REGISTER) or of the caller (From), else that of the Request-URI.

    Raises:
        ParseError: the Request-URI cannot be read.
    """
    whose = request.to if request.method == "REGISTER" else request.from_
    host = _host_of(whose.uri)
    if host in domains:
        return host
    host = plain_host(request.target.host)
    return host if host in domains else ""


def _host_of(uri: str) -> str:
    """Return the host of an address; empty if it has none."""
    try:
        return plain_host(Uri.parse(uri).host)
    except ParseError:
        return ""
