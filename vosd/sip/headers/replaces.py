"""Replaces (RFC 3891) and Refer-To (RFC 3515): the dialog to replace, and the number to call."""

from typing import NamedTuple
from urllib.parse import unquote

from vosd.sip.headers import phone_context
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.grammar import parameters
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import Uri


class Replaces(NamedTuple):
    """A dialog as named by a peer that asks to replace it; ``to_tag`` is ours, ``from_tag`` the peer's."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool

    @classmethod
    def parse(cls, text: str) -> "Replaces":
        """Parse ``call-id;to-tag=x;from-tag=y``."""
        call_id, _, rest = text.partition(";")
        said = parameters(";" + rest)
        to_tag, from_tag = said.get("to-tag"), said.get("from-tag")
        if not (call_id.strip() and to_tag and from_tag):
            raise ParseError(400, Flaw.BAD_REPLACES)
        return cls(call_id.strip(), to_tag, from_tag, "early-only" in said)


class ReferTo(NamedTuple):
    """Target of a REFER: the number to call, and the dialog that the new call replaces, if any."""

    number: str
    """The user part of the URI, with its context as ``phone_context.written`` writes it; empty only with ``replaces``.

    A Contact of ours has no user part, and it is what Refer-To has beside Replaces (RFC 5589 section 7.3).
    """
    replaces: Replaces | None

    @classmethod
    def of(cls, request: Request) -> "ReferTo":
        """Parse the Refer-To of a REFER.

        Raises:
            ParseError: 400 for none, several, or one that is no INVITE to a number; 416 for another scheme.
        """
        values = request.headers("refer-to")
        if len(values) != 1:
            raise ParseError(400, Flaw.BAD_REFER_TO, request)
        text = NameAddr.parse(values[0]).uri
        uri = Uri.parse(text)
        if (uri.param("method") or "invite") != "invite":
            raise ParseError(400, Flaw.BAD_REFER_TO, request)
        number = phone_context.written(uri.user, phone_context.phone_context_of(text)) if uri.user else ""
        for header in uri.headers.removeprefix("?").split("&"):
            name, _, value = header.partition("=")
            if name.lower() == "replaces":
                return cls(number, Replaces.parse(unquote(value)))
        if not number:
            raise ParseError(400, Flaw.BAD_REFER_TO, request)
        return cls(number, None)
