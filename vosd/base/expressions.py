"""Regular expressions of RE2, whose time is linear in the length of the text (ADR 47)."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import re2

EXPRESSION_MAX: Final = 256
"""Longest expression, in ASCII characters."""
_MEMORY_MAX: Final = 1 << 20
"""Bytes that one expression may use."""


def compiled(expression: str) -> "re2._Regexp[bytes]":
    """Return an expression for the bytes of a peer; raises ValueError, with the words of RE2, where it is malformed."""
    import re2  # only where something has an expression: the library takes a megabyte

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # the text of a peer may hold bytes that are not UTF-8
    options.max_mem = _MEMORY_MAX
    options.log_errors = False
    try:
        return re2.compile(expression.encode(), options)
    except re2.error as error:
        why = error.args[0]
        raise ValueError(why.decode("ascii", "replace") if isinstance(why, bytes) else why) from None
