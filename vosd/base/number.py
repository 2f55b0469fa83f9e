"""Telephone numbers as they are dialled and as they are compared (INTERFACES section 3, "Numbers")."""


def for_matching(number: str) -> str:
    """Return the number that prefixes are compared with: one leading ``+`` dropped, nothing else touched."""
    return number.removeprefix("+")
