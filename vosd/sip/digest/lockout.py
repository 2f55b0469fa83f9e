"""Lock-out of sources with too many failed authentications.

Only a wrong answer to a challenge that the source has received counts: otherwise datagrams with forged senders could
lock out other sources. Owns no sockets.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple, TypeVar

from vosd.base.host import source_of
from vosd.sip.digest.settings import LockOutSettings

SOURCES_MAX: Final = 16_384
"""Most sources with failures, and most locked-out sources; the oldest is forgotten first."""
USERS_MAX: Final = 16
"""Most users with a count of their own at one source; failures of others are counted together."""
USERNAME_CHARS_MAX: Final = 100
"""Most characters kept of a user name that does not exist."""


Value = TypeVar("Value")


class LockedOut(NamedTuple):
    """A locked-out source."""

    source: str
    """An IPv4 address, or the /64 of an IPv6 one."""
    until: int
    """End of the lock-out, in monotonic milliseconds."""
    failures: int
    """Failures that led to it."""
    username: str
    """The user name of the last failure, as received."""


class _Failures:
    """Failures of a source, of each user since that user's last success there."""

    __slots__ = ("by_user", "latest")

    def __init__(self) -> None:
        self.by_user: dict[Hashable, int] = {}
        self.latest = 0
        """Time of the latest, in monotonic milliseconds."""


class LockOut:
    """Counts failures and locks out sources; bounded."""

    def __init__(self, settings: LockOutSettings, sources_max: int = SOURCES_MAX) -> None:
        self.settings = settings
        """May be replaced; existing lock-outs keep their duration."""
        self._sources_max = sources_max
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self.locked: OrderedDict[str, LockedOut] = OrderedDict()
        """Lock-outs by source, those that are over included: mostly none, so that callers can skip the look-up."""

    def is_locked_out(self, host: str, mono_ms: int) -> bool:
        """Return whether an address is locked out."""
        return self.left_ms(host, mono_ms) > 0

    def left_ms(self, host: str, mono_ms: int) -> int:
        """Return for how long an address is still locked out; 0 = it is not."""
        if not self.locked:
            return 0
        source = source_of(host)
        locked = self.locked.get(source)
        if locked is None:
            return 0
        if locked.until <= mono_ms:
            del self.locked[source]
        return max(0, locked.until - mono_ms)

    def has_failures(self, host: str, mono_ms: int) -> bool:
        """Return whether failures of an address are counted, none of which a success of its user has removed."""
        failures = self._failures.get(source_of(host)) if self._failures else None
        return failures is not None and bool(failures.by_user) and failures.latest > mono_ms - self.settings.suspend_ms

    def failed(self, host: str, mono_ms: int, username: str = "", domain: str = "") -> bool:
        """Count a failure of a user; return True if it locks the source out.

        Those of all its users count together, because a source may try one password for many of them.
        """
        most, suspend_ms = self.settings.max_retry, self.settings.suspend_ms
        if most == 0:
            return False
        source = source_of(host)
        self._forget_until(mono_ms - suspend_ms)
        failures = self._failures.pop(source, None) or _Failures()  # removed and added again: in order of time
        user: Hashable = (domain, username)
        if user not in failures.by_user and len(failures.by_user) >= USERS_MAX:
            user = None
        failures.by_user[user] = failures.by_user.get(user, 0) + 1
        failures.latest = mono_ms
        number = sum(failures.by_user.values())
        if number < most:
            _put_last(self._failures, source, failures, self._sources_max)
            return False
        self.locked.pop(source, None)
        locked = LockedOut(source, mono_ms + suspend_ms, number, username[:USERNAME_CHARS_MAX])
        _put_last(self.locked, source, locked, self._sources_max)
        return True

    def succeeded(self, host: str, username: str = "", domain: str = "") -> None:
        """Forget the failures of a user at a source after a success; those of other users stay counted."""
        failures = self._failures.get(source_of(host)) if self._failures else None
        if failures is not None:
            failures.by_user.pop((domain, username), None)

    def unblock(self, host: str, mono_ms: int) -> bool:
        """End a lock-out; return False if there was none."""
        was_locked_out = self.is_locked_out(host, mono_ms)
        self.locked.pop(source_of(host), None)
        return was_locked_out

    def locked_out(self, mono_ms: int) -> list[LockedOut]:
        """Return the locked-out sources, the oldest first."""
        return [locked for locked in self.locked.values() if locked.until > mono_ms]

    def _forget_until(self, mono_ms: int) -> None:
        """Forget failures older than a lock-out lasts: guessing so slowly gains nothing over being locked out."""
        failures = self._failures
        while failures and next(iter(failures.values())).latest <= mono_ms:
            failures.popitem(last=False)


def _put_last(table: "OrderedDict[str, Value]", source: str, value: Value, most: int) -> None:
    """Append an entry; drop the oldest from a full table."""
    table[source] = value
    if len(table) > most:
        table.popitem(last=False)
