"""Patterns, lengths and rewrite rules of numbers as operators write them."""

import re
from typing import Final

from pydantic import BeforeValidator

from vosd.base.number import for_matching
from vosd.config.reader.fields import ExpectedError, FromText
from vosd.routing.expressions import RuleError
from vosd.routing.number_rules import LIST
from vosd.routing.patterns import is_pattern
from vosd.routing.rewrite import RULES_MAX, check_rule
from vosd.trunks.number_rules import LengthRange

_LENGTHS: Final = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?\Z", re.ASCII)
_LONGEST: Final = 128
_PATTERN: Final = "a number such as 4420123, or a prefix with * at its end such as 4420*"


def _comma_separated(value: object) -> object:
    """Accept a text with commas where a list is expected, and as its items."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        return items
    return [part.strip() for item in items for part in item.split(",")]


COMMA_SEPARATED: Final = BeforeValidator(_comma_separated)
"""Mark of a list whose items may stand in one text with commas between."""


def one_or_many_rules(value: object) -> object:
    """Accept a single rule where a list of them is expected."""
    if isinstance(value, list) and len(value) == 2 and all(isinstance(side, str) for side in value):
        return [value]
    return [value] if isinstance(value, str) else value


def each_left_once(rules: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Refuse rules that never apply because an earlier one has the same left side, and lists that are too long."""
    if len(rules) > RULES_MAX:
        raise ExpectedError(f"at most {RULES_MAX} rules")
    seen = set()
    for left, _ in rules:
        if left in seen:
            raise ExpectedError(f"each left side once; {left!r} is there twice")
        seen.add(left)
    return rules


def pattern() -> FromText:
    """Read a pattern; a leading + is left out."""
    return FromText(_PATTERN, _pattern)


def pattern_or_list() -> FromText:
    """Read a pattern, or the name of a list."""

    def read(text: str) -> str:
        return text if text.startswith(LIST) and len(text) > len(LIST) else _pattern(text)

    return FromText(f"{_PATTERN}, or {LIST}NAME", read)


def length_range() -> FromText:
    """Read the number of digits that a number may have."""

    def read(text: str) -> LengthRange:
        match = _LENGTHS.match(text)
        if match is None:
            raise ValueError
        shortest, longest = int(match[1]), int(match[2] or match[1])
        if not 1 <= shortest <= longest <= _LONGEST:
            raise ValueError
        return LengthRange(shortest, longest)

    return FromText(f"digits such as 7-15, or 10, at most {_LONGEST}", read)


def rewrite_rule() -> FromText:
    """Read one rewrite rule."""

    def read(sides: list[object]) -> tuple[str, str]:
        if len(sides) != 2:
            raise ValueError
        left, right = sides
        if not isinstance(left, str) or not isinstance(right, str):
            raise ValueError
        try:
            check_rule(left, right)
        except RuleError as error:
            raise ExpectedError(str(error)) from None
        return left, right

    return FromText(
        'two texts such as ["00", ""]: what a number begins with, and what stands there then', read, kind=list
    )


def _pattern(text: str) -> str:
    bare = for_matching(text)
    if not is_pattern(bare):
        raise ValueError
    return bare
