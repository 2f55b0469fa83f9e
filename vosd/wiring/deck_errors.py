"""Errors of imports of decks, and the port for their progress."""

from typing import Protocol

from vosd.base.errors import VosError


class DeckFileError(VosError):
    """A file has no rates, or cannot be written."""


class RatesRefusedError(VosError):
    """The switch would refuse the rates; nothing was imported."""


class DeckSteps(Protocol):
    """Takes how far an import is."""

    def begin(self, step: str, whole: int | None = None) -> None:
        """Begin a step; the one before is finished."""

    def at(self, done: int, whole: int | None = None) -> None:
        """Say how far the step is."""
