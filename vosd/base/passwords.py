"""Passwords that are easy to guess, of people, phones and trunks."""

from collections.abc import Iterable
from typing import Final

LENGTH_MIN: Final = 12
_DIFFERENT_MIN: Final = 5
_NAME_MIN: Final = 3
"""Shorter names are in many good passwords."""
_RUNS: Final = ("0123456789012345678901234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")


def weakness(password: str, names: Iterable[str] = ()) -> str:
    """Return what a password should have that is easy to guess; empty if it is not.

    ``names`` are those that it must not contain, such as its user name.
    """
    text = password.lower()
    if len(password) < LENGTH_MIN:
        return f"{LENGTH_MIN} characters or more"
    if len(set(text)) < _DIFFERENT_MIN:
        return "more different characters"
    if any(text in run or text in run[::-1] for run in _RUNS):
        return "no mere row of the alphabet or the keyboard"
    if any(name.lower() in text for name in names if len(name) >= _NAME_MIN):
        return "nothing of its own name or number"
    return ""
