"""Names of runs of ``vosd rerate --book``: by its reference a correction is known as one of a run, or made by hand."""

import hashlib
from typing import Final

_OF_RUN: Final = "rerate-"
_OF_DECK: Final = "rerated-with-"
"""Begins the name of a run by other rates than those that are configured (``--with``)."""
OF_RUNS: Final = (_OF_RUN, _OF_DECK)


def digest_of(*parts: object) -> str:
    """Return a name that runs with the same calls and rates have in common, and no others."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def reference_of_run(name: str, *, has_deck: bool = False) -> str:
    """Return the reference of a run of this name; one that is a reference already stays."""
    beginning = _OF_DECK if has_deck else _OF_RUN
    return name if name.startswith(beginning) else beginning + name


def is_by_hand(reference: str, *, has_deck: bool = False) -> bool:
    """Return whether a run leaves alone what was corrected under a reference.

    A run by the configured rates leaves what another deck has priced, too: it would take that back.
    """
    return not reference.startswith(OF_RUNS if has_deck else _OF_RUN)
