"""Growing delays between guesses at one thing, such as the password of a user, wherever they come from.

The first ``max_retry`` failures cost nothing. Each further one begins a delay, twice as long as the one before and at
most as long as a lock-out. Owns no clock.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple

from vosd.sip.digest.settings import LockOutSettings

KEYS_MAX: Final = 65_536
"""Most things with failures; the one whose latest failure is oldest is forgotten first."""
FIRST_MS: Final = 1_000
_DOUBLINGS_MAX: Final = 16
"""Beyond any lock-out; keeps the numbers small."""


class _Failures(NamedTuple):
    number: int
    latest: int
    until: int
    """End of the delay, in monotonic milliseconds."""


class Delays:
    """Failures by key, and until when each key waits; bounded."""

    def __init__(self, settings: LockOutSettings, keys_max: int = KEYS_MAX) -> None:
        self.settings = settings
        """May be replaced; delays that have begun keep their duration."""
        self._keys_max = keys_max
        self._failures: OrderedDict[Hashable, _Failures] = OrderedDict()

    def left_ms(self, key: Hashable, mono_ms: int) -> int:
        """Return how long a key still waits; 0 = it need not."""
        failures = self._failures.get(key) if self._failures else None
        return 0 if failures is None else max(0, failures.until - mono_ms)

    def chances(self, key: Hashable) -> int | None:
        """Return how many guesses at once are left to a key that need not wait, at least one; None = any number."""
        most, failures = self.settings.max_retry, self._failures.get(key)
        if not most:
            return None
        return most if failures is None else max(1, most - failures.number)

    def failed(self, key: Hashable, mono_ms: int) -> bool:
        """Count a failure; return True if it begins the first delay."""
        most, longest_ms = self.settings.max_retry, self.settings.suspend_ms
        if most == 0:
            return False
        self._forget_until(mono_ms - 2 * longest_ms)
        earlier = self._failures.pop(key, None)  # removed and added again, so that the table is in order of time
        number = 1 if earlier is None else earlier.number + 1
        beyond = number - most
        delay_ms = min(FIRST_MS << min(beyond - 1, _DOUBLINGS_MAX), longest_ms) if beyond > 0 else 0
        self._failures[key] = _Failures(number, mono_ms, mono_ms + delay_ms)
        if len(self._failures) > self._keys_max:
            self._failures.popitem(last=False)
        return beyond == 1

    def forget(self, key: Hashable) -> None:
        """Begin the count of a key anew."""
        self._failures.pop(key, None)

    def _forget_until(self, mono_ms: int) -> None:
        """Forget keys without a failure since the longest delay has ended for as long again."""
        failures = self._failures
        while failures and next(iter(failures.values())).latest <= mono_ms:
            failures.popitem(last=False)
