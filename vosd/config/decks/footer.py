"""Lines behind the last rate of a sheet that are no rates: totals, notes, dates."""

from collections.abc import Iterator, Sequence
from typing import Final

from vosd.config.decks.assumptions import Assumptions

LINES_MAX: Final = 20
"""Lines that a footer has at most; more of them are rows with mistakes."""
_SHOWN: Final = 60


class Footer:
    """Holds lines that may be a footer until a rate follows, or none does."""

    def __init__(self, codes_at: Sequence[int], price_at: int) -> None:
        """Take the positions of the cells with the code, and of that with the price."""
        self._codes_at = codes_at
        self._price_at = price_at
        self._held: list[tuple[int, Sequence[str]]] = []

    def takes(self, number: int, cells: Sequence[str]) -> bool:
        """Hold a line if it may be of a footer, and return whether it is held.

        Such a line has neither digits in its code nor in its price, or words in one cell and nothing else.
        """
        filled = [cell for cell in map(str.strip, cells) if cell]
        if len(filled) == 1:
            is_footer = any(map(str.isalpha, filled[0]))
        else:
            judged = [cells[index] for index in (*self._codes_at, self._price_at) if index < len(cells)]
            is_footer = not any(character.isdigit() or character == "*" for cell in judged for character in cell)
        if not is_footer or len(self._held) >= LINES_MAX:
            return False
        self._held.append((number, cells))
        return True

    def interrupted(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield the lines that were held: a rate follows, so they are rows with mistakes."""
        if self._held:
            yield from self._held
            self._held = []

    def note(self, assumed: Assumptions) -> None:
        """Note what was held to the end of the sheet."""
        if not self._held:
            return
        number, cells = self._held[0]
        text = " ".join(cell for cell in map(str.strip, cells) if cell)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        assumed.line = number
        count = len(self._held)
        words = "a line without code and price" if count == 1 else f"{count} lines without code and price"
        assumed.note("footer", f"{words} behind the last rate: left out", "", shown)
