"""Log of requests beyond what their sender may see or do: one who tries accounts of others is noticed.

A line at the first such request of a sender, and each minute another one with the number of those since.
"""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from vosd.obs.events import log as _log

if TYPE_CHECKING:
    from vosd.admin.office.principal import Principal

_CODES: Final = frozenset({"operators_only", "out_of_scope", "permission_lacking"})
"""Errors that say that a sender is known, and may not. An agent without a right is none: the console asks for it."""
_OF_ACCOUNTS: Final = frozenset({"no_such_invoice", "no_such_object"})
"""Errors for what belongs to others, as for what does not exist, where the sender stands for an account.

Not ``no_record``: ids of calls cannot be guessed, and programs read a call of their own before it is booked.
"""
_PERIOD_S: Final = 60


class RefusedRequests:
    """Counts them by sender, and logs them."""

    def __init__(self, period_s: float = _PERIOD_S) -> None:
        self._period_s = period_s
        self._counted = Counter[str]()
        """Requests that are not logged yet, by the role and the login of senders that have a line this minute."""

    def note(self, who: "Principal", source: str, method: str, path: str, code: str) -> None:
        """Log a request beyond its sender, or count it where that has a line already; the path is without its query."""
        if code not in _CODES and (code not in _OF_ACCOUNTS or who.account is None):
            return
        key = f"{who.means.value} {who.login}"
        if key in self._counted:
            self._counted[key] += 1
            return
        self._write(who, source, method, path, code, 1)

    def _write(self, who: "Principal", source: str, method: str, path: str, code: str, count: int) -> None:
        key = f"{who.means.value} {who.login}"
        facts = {"role": who.role.value, "account": who.account, "source": source, "count": count}
        _log.warning("request_out_of_scope", who=key, method=method, path=path, why=code, **facts)
        self._counted[key] = 0
        asyncio.get_running_loop().call_later(self._period_s, self._look_again, who, source, method, path, code)

    def _look_again(self, who: "Principal", source: str, method: str, path: str, code: str) -> None:
        count = self._counted.pop(f"{who.means.value} {who.login}", 0)
        if count:
            self._write(who, source, method, path, code, count)
