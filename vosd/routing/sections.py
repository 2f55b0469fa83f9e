"""Number sections: which destinations an account, and every account above it, may call (docs/routing.md)."""

from collections.abc import Collection, Iterable

from vosd.base.prefixes import PrefixIndex


class NumberSection:
    """Allowed and denied prefixes of one account: the longest that fits decides, a denied one before an allowed one.

    Without allowed prefixes every number is allowed that no denied prefix fits.
    """

    __slots__ = ("_entries", "_has_allowed", "owner")

    def __init__(self, allowed: Collection[str], denied: Collection[str], owner: str = "") -> None:
        self.owner = owner
        """The account whose section it is."""
        entries = {**dict.fromkeys(allowed, True), **dict.fromkeys(denied, False)}
        self._entries = PrefixIndex(entries.items())
        self._has_allowed = bool(allowed)

    def objection(self, number: str, billed: str = "", *, is_emergency: bool = False) -> str | None:
        """Return why ``number``, without leading ``+``, may not be called; None = it may.

        ``billed`` is the number behind a routing prefix, which may not be a denied one either; empty = the same. An
        emergency number needs no allowed prefix, and is denied by none but itself.
        """
        if is_emergency:
            whole = (each for each in (number, billed) if (each, False) in self._entries.every(each))
            return next((f"prefix {each} is denied" for each in whole), None)
        prefix, is_allowed = next(self._entries.every(number), ("", not self._has_allowed))
        if is_allowed and billed and billed != number:
            prefix, is_allowed = next(self._entries.every(billed), ("", True))
        if is_allowed:
            return None
        return f"prefix {prefix} is denied" if prefix else "no allowed prefix fits"


def objection_in(
    levels: Iterable[NumberSection], number: str, billed: str = "", *, is_emergency: bool = False
) -> str | None:
    """Return the first objection of a chain of levels, the account's own first; None = all levels allow the number."""
    for level in levels:
        objection = level.objection(number, billed, is_emergency=is_emergency)
        if objection is not None:
            return f"number section of {level.owner}: {objection}"
    return None
