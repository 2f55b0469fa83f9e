"""Looks at running calls of which the audit has a line: a page that follows a call asks for messages each second."""

from collections import OrderedDict
from typing import Final

from vosd.admin.office.principal import Means, Principal, Role

_Look = tuple[str, Role, str, Means, str, str]
LOOKS_KEPT: Final = 10_000
"""Most looks that are kept; the ones that were repeated longest ago are forgotten first, and get another line."""


class DrawnCalls:
    """Looks of one process, each of a person or token, by its proof and from its address, at one call."""

    def __init__(self) -> None:
        self._looks: OrderedDict[_Look, None] = OrderedDict()

    def has(self, who: Principal, call_id: str) -> bool:
        """Return whether the audit has the look."""
        look = _look(who, call_id)
        if look not in self._looks:
            return False
        self._looks.move_to_end(look)
        return True

    def add(self, who: Principal, call_id: str) -> None:
        """Keep a look of which the audit has a line now."""
        self._looks[_look(who, call_id)] = None
        if len(self._looks) > LOOKS_KEPT:
            self._looks.popitem(last=False)


def _look(who: Principal, call_id: str) -> _Look:
    return who.recorded, who.role, who.login, who.means, who.source, call_id
