r"""Regular expressions in rewrite rules, by RE2: their time is linear in the length of the number (ADR 47).

The part of a number that an expression fits first is replaced; ``\1`` to ``\9`` are its groups, ``\0`` is that part.
"""

import re
from typing import Final

from vosd.base.errors import VosError
from vosd.base.expressions import EXPRESSION_MAX, compiled

_PART: Final = re.compile(r"\\([0-9])|([0-9A-Za-z+*#._-]+)")


class RuleError(VosError):
    """A rule that cannot be applied; the message says what was expected."""


class RegularExpression:
    """One expression with its replacement."""

    __slots__ = ("_expression", "_parts")

    def __init__(self, expression: str, replacement: str) -> None:
        """Raise RuleError where either is malformed."""
        if not expression.isascii() or len(expression) > EXPRESSION_MAX:
            raise RuleError(f"a regular expression of at most {EXPRESSION_MAX} ASCII characters behind the ~")
        try:
            self._expression = compiled(expression)
        except ValueError as error:
            raise RuleError(f"a regular expression as RE2 has them behind the ~: {error}") from None
        self._parts = tuple(_parts_of(replacement, self._expression.groups))

    @property
    def size(self) -> int:
        """Number of instructions of the expression; a search looks at each of them for each digit at worst."""
        return int(self._expression.programsize)

    def rewritten(self, number: str) -> str | None:
        """Return the number with the fitting part replaced; None = it does not fit."""
        found = self._expression.search(number.encode("utf-8", "surrogateescape"))
        if found is None:
            return None
        filled = b"".join(part if isinstance(part, bytes) else found.group(part) or b"" for part in self._parts)
        whole: bytes = found.string[: found.start()] + filled + found.string[found.end() :]
        return whole.decode("utf-8", "surrogateescape")


def _parts_of(replacement: str, groups: int) -> list[bytes | int]:
    """Return a replacement as text and numbers of groups."""
    parts: list[bytes | int] = []
    position = 0
    for match in _PART.finditer(replacement):
        if match.start() != position:
            break
        position = match.end()
        if match[1] is None:
            parts.append(match[2].encode())
        elif int(match[1]) > groups:
            raise RuleError(f"no \\{match[1]} on the right side: the expression has {groups} groups")
        else:
            parts.append(int(match[1]))
    if position != len(replacement):
        raise RuleError("on the right side digits, letters, *, # and \\0 to \\9 alone")
    return parts
