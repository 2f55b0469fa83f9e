"""Telephone numbers as they are dialled and as they are compared (INTERFACES section 3, "Numbers")."""

from typing import Final

_PHONE: Final = frozenset("0123456789*#ABCDabcd")


def for_matching(number: str) -> str:
    """Return the number that prefixes are compared with: one leading ``+`` dropped, nothing else touched."""
    return number.removeprefix("+")


def is_number(text: str) -> bool:
    """Say whether ``text`` is a telephone number rather than a name (visual separators are not digits)."""
    body = for_matching(text)
    return bool(body) and _PHONE.issuperset(body)
