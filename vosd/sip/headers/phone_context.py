"""Local numbers and their context: the parameter ``phone-context`` of a telephone number (RFC 3966 section 5.1.5).

A context that begins with a plus sign is the beginning of a global number; any other is a domain.
"""

from typing import Final

from vosd.base.number import SEPARATORS, without_separators
from vosd.sip.headers.portability import number_parameters
from vosd.sip.wire.uri import unescape, user_part

_NAME: Final = "phone-context"
_WRITTEN: Final = f";{_NAME}="


def phone_context_of(uri: str) -> str:
    """Return the context of the number in a ``sip:``, ``sips:`` or ``tel:`` URI; empty if there is none."""
    if ";" not in uri or _NAME not in uri.lower():
        return ""
    return unescape(number_parameters(uri, {_NAME}).get(_NAME) or "")


def global_beginning(context: str) -> str | None:
    """Return what a context puts before its local numbers; None for a domain, empty for text that is neither."""
    if context[:1] != "+":
        return None
    beginning = context.translate(SEPARATORS)
    return beginning if beginning[1:].isdecimal() and beginning.isascii() else ""


def in_context(number: str, context: str) -> str:
    """Return a number behind the beginning that its context has, if the number is local and the context global."""
    if not number or number[0] == "+":
        return number
    return f"{global_beginning(context) or ''}{without_separators(number)}" if context else number


def number_of(uri: str) -> str:
    """Return the number in a URI, in its global context if it has one; raises ParseError as ``user_part`` does."""
    return in_context(user_part(uri), phone_context_of(uri))


def written(number: str, context: str) -> str:
    """Return a number with its context, as a person or another part of the switch writes it."""
    return f"{number}{_WRITTEN}{context}" if context else number


def read(text: str) -> tuple[str, str]:
    """Return the number and the context of a text that ``written`` has made."""
    number, _, context = text.partition(_WRITTEN)
    return number, context
