"""Sources that have guessed too often, and are not heard for a while (REG-07, decision table DT-7).

What counts is a wrong answer to a challenge that the source has really seen: datagrams with a false sender would
else lock out whom their author likes. Knows neither peers nor sockets.
"""

from collections import OrderedDict
from typing import Final, NamedTuple, TypeVar

from vosd.base.host import source_of
from vosd.sip.digest.settings import LockOutSettings

SOURCES_MAX: Final = 16_384
"""Sources with failures that are remembered, and as many locked out; past that the oldest are forgotten."""
USERNAME_CHARS_MAX: Final = 100
"""What is kept of a user name that does not exist."""


Value = TypeVar("Value")


class LockedOut(NamedTuple):
    """A source that is not heard."""

    source: str
    """An IPv4 address, or the /64 of an IPv6 one."""
    until: int
    """Monotonic milliseconds."""
    failures: int
    """Wrong answers that led to it."""
    username: str
    """The user name of the last one, as it came."""


class _Failures(NamedTuple):
    """What a source has got wrong since it last got something right."""

    number: int
    latest: int
    """Monotonic milliseconds."""


class LockOut:
    """Counts and locks; bounded."""

    def __init__(self, settings: LockOutSettings, sources_max: int = SOURCES_MAX) -> None:
        self.settings = settings
        """May be replaced; who is locked out stays so for as long as was said then."""
        self._sources_max = sources_max
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._locked: OrderedDict[str, LockedOut] = OrderedDict()

    def is_locked_out(self, host: str, mono_ms: int) -> bool:
        """Say whether nothing from an address is heard."""
        if not self._locked:
            return False
        source = source_of(host)
        locked = self._locked.get(source)
        if locked is None:
            return False
        if locked.until > mono_ms:
            return True
        del self._locked[source]
        return False

    def failed(self, host: str, mono_ms: int, username: str = "") -> bool:
        """Count a failure; True where it is the one that locks the source out."""
        most, suspend_ms = self.settings.max_retry, self.settings.suspend_ms
        if most == 0:
            return False
        source = source_of(host)
        self._forget_until(mono_ms - suspend_ms)
        earlier = self._failures.pop(source, None)
        number = 1 if earlier is None else earlier.number + 1
        if number < most:
            _put_last(self._failures, source, _Failures(number, mono_ms), self._sources_max)
            return False
        self._locked.pop(source, None)
        locked = LockedOut(source, mono_ms + suspend_ms, number, username[:USERNAME_CHARS_MAX])
        _put_last(self._locked, source, locked, self._sources_max)
        return True

    def succeeded(self, host: str) -> None:
        """Begin to count anew: somebody at the source has got something right."""
        if self._failures:
            self._failures.pop(source_of(host), None)

    def lift(self, host: str, mono_ms: int) -> bool:
        """Hear a source again; False where it was not locked out."""
        was_locked_out = self.is_locked_out(host, mono_ms)
        self._locked.pop(source_of(host), None)
        return was_locked_out

    def locked_out(self, mono_ms: int) -> list[LockedOut]:
        """Return who is not heard, the longest first."""
        return [locked for locked in self._locked.values() if locked.until > mono_ms]

    def _forget_until(self, mono_ms: int) -> None:
        """Forget failures as old as a lock-out is long: who goes as slowly as that gets no further than by it."""
        failures = self._failures
        while failures and next(iter(failures.values())).latest <= mono_ms:
            failures.popitem(last=False)


def _put_last(table: "OrderedDict[str, Value]", source: str, value: Value, most: int) -> None:
    """Add what is newest; the oldest makes room where there is none."""
    table[source] = value
    if len(table) > most:
        table.popitem(last=False)
