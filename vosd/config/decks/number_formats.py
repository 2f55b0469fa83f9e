"""Number formats of a workbook (numFmts of Office Open XML): the text that a spreadsheet shows around digits.

The reader of workbooks returns numbers without their formats: 0.1 for ``10%``, 1.2 for ``€ 1.20``, 44 for ``0044``. A
number is read with what is shown around it, as if the sheet had been saved as CSV, but with all its decimals.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

UNCLEAR: Final = "#FORMAT"
"""Stands for a number that is shown scaled or not at all: no code, no price, no date, no word of ours."""
_CODE_MAX: Final = 255
"""Characters of a code, as spreadsheets have it."""
_BUILT_IN: Final = {9: "0%", 10: "0.00%", **dict.fromkeys((5, 6, 7, 8, 42, 44), '"¤"0.00')}
"""Formats that a workbook need not declare; the currency of some is that of the machine which shows them."""
_TOKEN: Final = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|\[\$(?P<currency>[^\]-]*+)[^\]]*+\]|(?P<pad>[_*].|\[[^\]]*\])'
    r"|(?P<digits>General|[.,]*+[0#?][0#?.,]*+(?:[Ee][+-][0#?]+)?)|(?P<percent>%)|(?P<text>@)|(?P<date>[ymdhs])|(?P<bare>.)",
    re.IGNORECASE | re.DOTALL,
)
_SCALED: Final = re.compile(r",(?=\.|\Z)")
"""A comma behind the places before the point, which divides by 1,000; others separate thousands."""
_MISLEADING: Final = re.compile(r"[\d.,]")
"""Text between digits that looks like more of the number."""
_BEGUN: Final = re.compile(r"(?:\A|\d)[.,]\Z")
"""Text before digits that ends like a number whose places follow."""
_WORD: Final = re.compile(r"[^\W\d_]+")
_CONDITION: Final = re.compile(r"\[[<>=]")


class CellFormat(NamedTuple):
    """A format that shows more than digits."""

    before: str
    after: str
    """Text behind the digits; that of percentages has the sign."""
    hundreds: int = 0
    """Percent signs, each of which multiplies the number by 100."""
    digits: int = 0
    """Digits that a whole number has at least."""
    zero: str | None = None
    """Text in place of a zero."""
    is_whole: bool = False
    """Text around the digits looks like more of the number, which is true of whole ones only."""
    shows_negatives: bool = True
    is_clear: bool = True

    def shown(self, number: Decimal) -> str:
        """Return a number as text with what its format shows around it, and with all its decimals."""
        if not self.is_clear or (number < 0 and not self.shows_negatives):
            return UNCLEAR
        if self.zero is not None and not number:
            return self.zero
        if self.is_whole and number != number.to_integral_value():
            return UNCLEAR
        exact = number.scaleb(2 * self.hundreds)
        text = format(exact.to_integral_value() if exact == exact.to_integral_value() else exact, "f")
        sign, amount = ("-", text[1:]) if text.startswith("-") else ("", text)
        return f"{self.before}{sign}{amount if '.' in amount else amount.zfill(self.digits)}{self.after}"


_PLAIN: Final = CellFormat("", "")
_UNCLEAR: Final = CellFormat("", "", is_clear=False)


def declared_format(identifier: int, codes: dict[int, str]) -> CellFormat | None:
    """Return the format of a number; ``codes`` are those that the workbook declares, None = it shows digits alone."""
    code = codes.get(identifier, _BUILT_IN.get(identifier))
    return format_of(code) if code else None


@lru_cache
def format_of(code: str) -> CellFormat | None:
    """Return a format by its code; None = it shows digits alone, or is one of dates."""
    if len(code) > _CODE_MAX:
        return _UNCLEAR
    sections: list[list[re.Match[str]]] = [[]]
    for token in _TOKEN.finditer(code):
        if token["bare"] == ";":
            sections.append([])
        else:
            sections[-1].append(token)
    if any(token["date"] for section in sections for token in section):
        return None
    positive, *others = map(_section, sections)
    if positive is None or not positive.is_clear:
        return _UNCLEAR
    if _CONDITION.search(code) and any(each != positive for each in others):
        return _UNCLEAR
    if others and others[0] is None:
        positive = positive._replace(shows_negatives=False)
    if len(others) > 1:
        positive = positive._replace(zero=_zero(others[1], sections[2], positive))
    return None if positive == _PLAIN else positive


def _zero(section: CellFormat | None, tokens: list[re.Match[str]], positive: CellFormat) -> str | None:
    """Return the text in place of a zero, by its section; None = it is read as 0, as a dash is, too."""
    words = _words(tokens).strip()
    if not words and (section is None or section.zero == UNCLEAR):
        return UNCLEAR
    if not {*_WORD.findall(words)} - {*_WORD.findall(positive.before + positive.after)}:
        return None
    has_digit = any("0" in (token["digits"] or "") for token in tokens)
    return section.shown(Decimal()) if section is not None and has_digit else words


def _section(tokens: list[re.Match[str]]) -> CellFormat | None:
    """Return the format of one section; None = it has no place for digits."""
    places = [at for at, token in enumerate(tokens) if token["digits"] or token["text"]]
    if not places:
        return None
    first, last = places[0], places[-1]
    digits = "".join(tokens[at]["digits"] or "" for at in places)
    inner = _words(tokens[first:last])
    if _SCALED.search(digits) or _MISLEADING.search(inner) or digits.startswith(","):
        return _UNCLEAR
    if any(token["bare"] == "," for token in tokens):  # it may scale
        return _UNCLEAR
    hundreds = sum(bool(token["percent"]) for token in tokens)
    zeros = 0 if {"."} & {*digits} or "e" in digits.lower() or "/" in inner else digits.count("0")
    before, after = _words(tokens[:first]).lstrip(), (_words(tokens[last:]) + "%" * hundreds).rstrip()
    is_whole = _BEGUN.search(before) is not None or _MISLEADING.match(after) is not None
    if is_whole and ("." in digits or hundreds):
        return _UNCLEAR
    zero = UNCLEAR if {*digits} <= {*"#.,"} and any(digits) else None
    return CellFormat(before, after, hundreds, zeros if zeros > 1 else 0, zero, is_whole)


def _words(tokens: list[re.Match[str]]) -> str:
    return "".join(token["quoted"] or token["escaped"] or token["currency"] or token["bare"] or "" for token in tokens)
