"""Lines of decks of rates and their columns; in the form of a rate file, with fixed columns at the begin.

The columns before ``COLUMNS_AHEAD`` ends have no quotes, so a line is cut at their commas; the comma sorts before every
digit, so lines in the order of text are in the order of prefixes, and the rates of one prefix in the order in which
they come into force. Times are ISO 8601 UTC with milliseconds and ``Z``; empty = no limit.
"""

from typing import Final, NamedTuple

PREFIX: Final = "prefix"
BEGINS: Final = "effective_from"
ENDS: Final = "effective_to"
CLOSED: Final = "locked"
PRICE: Final = "billing_rate"
COLUMNS_AHEAD: Final = (PREFIX, BEGINS, ENDS, CLOSED, PRICE)
"""The first columns of each line."""
CLOSED_WORD: Final = "yes"
"""Marks a closed prefix: calls to it are refused, whatever a shorter prefix says."""
REMOVED_WORD: Final = "out"
"""Marks, in the lines of a file only, that a prefix is taken out of the deck when the line begins."""


class DeckRow(NamedTuple):
    """One line, cut."""

    prefix: str
    begins: str
    ends: str
    closed: str
    price: str
    others: str
    """The other columns as one text."""

    @property
    def terms(self) -> tuple[str, str, str]:
        """Price, increments and fees of the row, apart from when it is in force."""
        return self.closed, self.price, self.others

    @property
    def line(self) -> str:
        """The line."""
        return ",".join(self)

    def holds_at(self, moment: str) -> bool:
        """Return whether it is in force at a time."""
        return self.begins <= moment and (not self.ends or moment < self.ends)


def cut(line: str) -> DeckRow:
    """Return the row of a line."""
    return DeckRow(*line.split(",", len(COLUMNS_AHEAD)))
