"""Hosts, routes and header rules of trunks as operators write them."""

import re
from collections.abc import Callable
from typing import Final

from vosd.base.host import bracketed, domain
from vosd.config.reader.addresses import destination
from vosd.config.reader.fields import ExpectedError, FromText, KeyProblemError, text_where
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.compose import escape_user
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.uri import Uri
from vosd.trunks.gateways import Address
from vosd.trunks.header_rules import RULES_MAX, HeaderRuleError, Values, check_name, check_pattern, check_value

_PRODUCT: Final = re.compile(r"[!-~]([ -~]{0,126}[!-~])?\Z")
_ROUTE_MAX: Final = 256
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.!%_+`'~-]{1,64}/[a-z0-9.!%_+`'~-]{1,64}\Z")
_OWN_BODIES: Final = frozenset({"application/sdp", "application/dtmf-relay", "application/dtmf"})
"""The session description, which is no other body; keys of an INFO are passed as the trunks' settings say."""


def uri_host(*, with_port: bool) -> FromText:
    """Read the host of a URI: a name or an address, with a port where that is allowed."""
    place = destination().read

    def read(text: str) -> str:
        found = place(text)
        if not isinstance(found, Address) or ";" in text:
            raise ValueError
        has_port = text.rpartition(":")[2].isdigit() and (text.count(":") == 1 or "]:" in text)
        if has_port and not with_port:
            raise ValueError
        name = domain(found.host) or found.host
        return f"{bracketed(name)}:{found.port}" if has_port else bracketed(name)

    port = ", with a port or without" if with_port else " without port"
    return FromText(f"a name or an address{port}, such as sip.example.net", read)


def uri_user() -> FromText:
    """Read the user part of a URI."""
    return text_where(
        lambda text: 1 <= len(text) <= 64 and text.isprintable() and escape_user(text) == text,
        "1 to 64 characters of a user part, such as trunk2 or +4930123456",
    )


def product() -> FromText:
    """Read what User-Agent and Server say."""
    return text_where(_PRODUCT.match, "1 to 128 printable ASCII characters")


def route_value() -> FromText:
    """Read one value of Route: a SIP URI, which gets ``lr`` and brackets."""

    def read(text: str) -> str:
        uri = text.strip("<>")
        try:
            parsed = Uri.parse(NameAddr.parse(f"<{uri}>").uri)
        except ParseError:
            raise ValueError from None
        if parsed.scheme not in {"sip", "sips"} or len(uri) > _ROUTE_MAX or "?" in uri or not uri.isprintable():
            raise ValueError
        return f"<{uri}>" if ";lr" in uri.lower() else f"<{uri};lr>"

    return FromText("a SIP URI such as sip:proxy.example.net:5080, with ;lr or without", read)


def header_pattern(*, passes: bool = False, to_caller: bool = False) -> FromText:
    """Read the name of a header, or the beginning of names with ``*`` behind it."""

    def read(text: str) -> str:
        try:
            return check_pattern(text, passes=passes, to_caller=to_caller)
        except HeaderRuleError as error:
            raise ExpectedError(str(error)) from None

    return FromText("the name of a header, or the beginning of names such as X-*", read)


def body_type() -> FromText:
    """Read the media type of a body that is passed."""

    def read(text: str) -> str:
        kind = text.lower()
        if not _MEDIA_TYPE.match(kind):
            raise ValueError
        if kind in _OWN_BODIES or kind.startswith(("multipart/", "message/")):
            raise ExpectedError(f"a body that can be passed: not {text}, which the switch reads and writes itself")
        return kind

    return FromText("a media type such as application/isup", read)


def header_values() -> FromText:
    """Read headers with their values."""

    def read(pairs: dict[str, object]) -> Values:
        if len(pairs) > RULES_MAX:
            raise ExpectedError(f"at most {RULES_MAX} headers")
        return tuple((_checked(name, check_name, name), _checked_value(name, value)) for name, value in pairs.items())

    return FromText('headers with their values, such as {X-Trunk: "{account}"}', read, _written, kind=dict)


def _checked(name: str, check: Callable[[str], object], text: str) -> str:
    try:
        check(text)
    except HeaderRuleError as error:
        raise KeyProblemError(name, str(error)) from None
    return text


def _checked_value(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise KeyProblemError(name, "a text")
    return _checked(name, check_value, value)


def _written(values: Values) -> str:
    return f"{{{', '.join(f'{name}: {value}' for name, value in values)}}}"
