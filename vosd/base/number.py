"""Telephone numbers as dialled, and in the form for comparison."""


def for_matching(number: str) -> str:
    """Return the number for prefix matching: one leading ``+`` removed, nothing else changed."""
    return number.removeprefix("+")
