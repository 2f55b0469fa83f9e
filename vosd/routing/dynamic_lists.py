"""The dynamic blacklist: caller numbers that made too many calls are refused for a while (docs/routing.md).

The calls of each caller are counted for each mapping gateway by itself: a customer that sends the numbers of other
people cannot have those refused elsewhere (ADR 52). Concurrent calls are counted exactly. What is remembered of
past calls is bounded: the caller that has been silent longest is forgotten first, and the counters say so.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Container, Iterator
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.clock import Instant
from vosd.base.errors import VosError
from vosd.trunks.gateways import CallerLimits

LISTED_MAX: Final = 20_000
"""Most numbers on the list."""

CallerKey = tuple[str, str]
"""A mapping gateway and a calling number."""
TIMES_MAX: Final = 50_000
"""Most times that are remembered; half a kilobyte each where every key has one."""


class _Times:
    """Times of the latest calls of one caller, the oldest first, and the end of the time in which the latest counts."""

    __slots__ = ("times", "until")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.until = 0


class RecentTimes:
    """The latest times at which something happened, for each of many keys, in bounded memory.

    It answers one question: whether something has happened a number of times within a window that ends now. The key
    that was silent longest is forgotten first where there are too many.
    """

    __slots__ = ("_by_key", "_most", "forgotten", "size")

    def __init__(self, most: int = TIMES_MAX) -> None:
        self._by_key: OrderedDict[tuple[str, ...], _Times] = OrderedDict()
        self._most = most
        self.size = 0
        """Number of times that are remembered."""
        self.forgotten = 0
        """Number of keys that were removed before their time, since there were too many."""

    def __len__(self) -> int:
        return len(self._by_key)

    def is_full(self, key: tuple[str, ...], limit: int, window_ms: int, mono_ms: int) -> bool:
        """Return whether ``limit`` times of the key lie within the window that ends now."""
        found = self._by_key.get(key)
        return found is not None and len(found.times) >= limit and mono_ms - found.times[-limit] < window_ms

    def add(self, key: tuple[str, ...], limit: int, window_ms: int, mono_ms: int) -> None:
        """Remember one more time; only the last ``limit`` of a key are needed."""
        by_key = self._by_key
        found = by_key.get(key)
        if found is None:
            found = by_key[key] = _Times()
        else:
            by_key.move_to_end(key)
        found.times.append(mono_ms)
        found.until = mono_ms + window_ms
        self.size += 1
        if len(found.times) > 2 * limit:  # half of them at once, so that a call costs the same whatever the limit
            self.size -= len(found.times) - limit
            del found.times[:-limit]
        self._make_room(mono_ms)

    def undo(self, key: tuple[str, ...], mono_ms: int) -> None:
        """Remove a time again."""
        found = self._by_key.get(key)
        if found is None:
            return
        index = bisect_left(found.times, mono_ms)  # of up to 20,000, of which it is one of the newest
        if found.times[index : index + 1] != [mono_ms]:
            return  # forgotten meanwhile
        del found.times[index]
        self.size -= 1
        if not found.times:
            del self._by_key[key]

    def forget(self, key: tuple[str, ...]) -> None:
        """Forget all times of a key."""
        found = self._by_key.pop(key, None)
        if found is not None:
            self.size -= len(found.times)

    def forget_where(self, is_meant: Callable[[tuple[str, ...]], bool]) -> None:
        """Forget all times of the keys that are meant; looks at every key."""
        for key in [key for key in self._by_key if is_meant(key)]:
            self.forget(key)

    def _make_room(self, mono_ms: int) -> None:
        """Remove at most two keys whose times count no more, and as many others as there are too many."""
        by_key = self._by_key
        for _ in range(2):
            oldest = next(iter(by_key))
            if by_key[oldest].until > mono_ms:
                break
            self.forget(oldest)
        while self.size > self._most:
            self.size -= len(by_key.popitem(last=False)[1].times)
            self.forgotten += 1


class ListingCause(Enum):
    """The limit that a caller has exceeded."""

    CONCURRENT = "concurrent"
    FREQUENCY = "frequency"
    NO_ANSWER = "no_answer"
    ONE_TARGET = "one_target"


class ListedCaller(NamedTuple):
    """A caller on the list."""

    gateway: str
    caller: str
    cause: ListingCause
    limit: int
    since: int
    """UTC milliseconds."""
    until: int
    """UTC milliseconds; shown, not compared."""
    until_mono: int
    """Monotonic milliseconds: the caller is refused before this instant."""

    def __str__(self) -> str:
        return f"caller in dynamic blacklist: {self.caller} of {self.gateway}, {self.cause.value} above {self.limit}"


class NotCountedError(VosError):
    """A call was released that is not counted: it has ended twice."""


class CountedCall:
    """One call of a caller, which counts as one of its concurrent calls until it is released."""

    __slots__ = ("_limits", "_lists", "caller", "is_over", "mono_ms", "target")

    def __init__(
        self, lists: "DynamicLists", caller: CallerKey, target: str, limits: CallerLimits, mono_ms: int
    ) -> None:
        self._lists = lists
        self._limits = limits
        self.caller = caller
        self.target = target
        self.mono_ms = mono_ms
        """When it was counted."""
        self.is_over = False

    def unanswered(self, mono_ms: int) -> None:
        """Note that the call ended without an answer, unless it was released before."""
        limit = self._limits.no_answer_limit
        if limit is not None and not self.is_over:
            self._lists.unanswered.add(self.caller, limit, 1_000 * self._limits.window_s, mono_ms)

    def give_back(self) -> None:
        """Release it; its caller has still made it."""
        self.is_over = True
        self._lists.release(self.caller)

    def undo(self) -> None:
        """Release it as if it had never been made, because the call is refused by something else."""
        self.give_back()
        self._lists.calls.undo(self.caller, self.mono_ms)
        self._lists.to_targets.undo((*self.caller, self.target), self.mono_ms)


class DynamicLists:
    """The list, and the counts by which callers come to be on it; both outlive a reload."""

    def __init__(self, times_max: int = TIMES_MAX, listed_max: int = LISTED_MAX) -> None:
        self._listed_max = listed_max
        self._active: dict[CallerKey, int] = {}
        self._listed: OrderedDict[CallerKey, ListedCaller] = OrderedDict()
        self._first_until = 0
        """No caller on the list leaves it before this instant, in monotonic milliseconds."""
        self.changes = 0
        """Number of changes of the list since the start."""
        self.calls = RecentTimes(times_max)
        self.unanswered = RecentTimes(times_max)
        self.to_targets = RecentTimes(times_max)
        self.overflows = 0
        """Numbers that were removed from the list before their time, since there were too many."""
        self.on_listed: Callable[[ListedCaller], None] = _ignore
        """Called with every caller that is put on the list."""

    def take(
        self, gateway: str, caller: str, target: str, limits: CallerLimits, now: Instant
    ) -> ListedCaller | CountedCall:
        """Count a call of a caller; or return why it is refused, and put the caller on the list if it is not there."""
        key, mono_ms = (gateway, caller), now.mono
        listing = self.find(gateway, caller, mono_ms)
        if listing is not None:
            return listing
        exceeded = self._exceeded(key, target, limits, mono_ms)
        if exceeded is not None:
            return self._put(_listing(key, *exceeded, limits, now), target)
        window_ms = 1_000 * limits.window_s
        self._active[key] = self._active.get(key, 0) + 1
        if limits.frequency_limit is not None:
            self.calls.add(key, limits.frequency_limit, window_ms, mono_ms)
        if limits.target_limit is not None:
            self.to_targets.add((gateway, caller, target), limits.target_limit, window_ms, mono_ms)
        return CountedCall(self, key, target, limits, mono_ms)

    def take_again(self, caller: CallerKey, target: str, limits: CallerLimits, mono_ms: int) -> CountedCall:
        """Count a running call that is restored as one of the concurrent ones, whatever the limits."""
        self._active[caller] = self._active.get(caller, 0) + 1
        return CountedCall(self, caller, target, limits, mono_ms)

    def find(self, gateway: str, caller: str, mono_ms: int) -> ListedCaller | None:
        """Return the listing of a caller; None = it is not on the list, or not any more."""
        listing = self._listed.get((gateway, caller))
        return listing if listing is not None and mono_ms < listing.until_mono else None

    def release(self, caller: CallerKey) -> None:
        """Release one of the concurrent calls of a caller; raises NotCountedError where none of them is counted."""
        active = self._active.get(caller, 0)
        if active == 0:
            raise NotCountedError(f"no call of {caller[1]!r} of {caller[0]} is counted: release once for each take")
        if active == 1:
            del self._active[caller]
        else:
            self._active[caller] = active - 1

    def active(self, gateway: str, caller: str) -> int:
        """Return the running calls of a caller."""
        return self._active.get((gateway, caller), 0)

    def total(self) -> int:
        """Return the running calls of all callers that are counted; zero without calls."""
        return sum(self._active.values())

    @property
    def size(self) -> int:
        """Number of callers on the list; those whose time is over count until ``expire`` is called."""
        return len(self._listed)

    @property
    def forgotten(self) -> int:
        """Number of callers that were forgotten, or removed from the list, before their time."""
        return self.overflows + self.calls.forgotten + self.unanswered.forgotten + self.to_targets.forgotten

    def listed(self, mono_ms: int) -> Iterator[ListedCaller]:
        """Yield the callers that are on the list, the one that was put there first at the beginning."""
        return (each for each in self._listed.values() if mono_ms < each.until_mono)

    def restore(self, listing: ListedCaller) -> None:
        """Put a caller back on the list at the start, without notice; that is no change of it."""
        self._listed[listing.gateway, listing.caller] = listing

    def expire(self, mono_ms: int) -> None:
        """Remove the callers whose time is over."""
        if mono_ms < self._first_until:
            return
        for key in [key for key, each in self._listed.items() if each.until_mono <= mono_ms]:
            del self._listed[key]
            self.changes += 1
        self._first_until = min((each.until_mono for each in self._listed.values()), default=mono_ms)

    def clear(self, caller: str | None = None, mono_ms: int = 0) -> int:
        """Take a number off the list wherever it is on it, or all numbers, and forget their past calls.

        Return how many there were.
        """
        meant = [key for key in self._listed if caller is None or key[1] == caller]
        count = 0
        for key in meant:
            count += mono_ms < self._listed.pop(key).until_mono
        if meant:
            self.changes += 1
            cleared = frozenset(meant)
            for times in (self.calls, self.unanswered, self.to_targets):
                times.forget_where(lambda key: (key[0], key[1]) in cleared)
        return count

    def keep(self, gateways: Container[str]) -> None:
        """Take the callers of all other gateways off the list."""
        for key in [key for key in self._listed if key[0] not in gateways]:
            del self._listed[key]
            self.changes += 1

    def judge(self, gateway: str, caller: str, target: str, limits: CallerLimits, now: Instant) -> ListedCaller | None:
        """Return why one more call now would be refused, and change nothing; None = it would not be."""
        key = gateway, caller
        listing = self._listed.get(key)
        if listing is not None and now.mono < listing.until_mono:
            return listing
        exceeded = self._exceeded(key, target, limits, now.mono)
        return None if exceeded is None else _listing(key, *exceeded, limits, now)

    def _exceeded(
        self, key: CallerKey, target: str, limits: CallerLimits, mono_ms: int
    ) -> tuple[ListingCause, int] | None:
        """Return which limit one more call would exceed."""
        window_ms = 1_000 * limits.window_s
        limit = limits.concurrent_limit
        if limit is not None and self._active.get(key, 0) >= limit:
            return ListingCause.CONCURRENT, limit
        limit = limits.frequency_limit
        if limit is not None and self.calls.is_full(key, limit, window_ms, mono_ms):
            return ListingCause.FREQUENCY, limit
        limit = limits.no_answer_limit
        if limit is not None and self.unanswered.is_full(key, limit, window_ms, mono_ms):
            return ListingCause.NO_ANSWER, limit
        limit = limits.target_limit
        if limit is not None and self.to_targets.is_full((*key, target), limit, window_ms, mono_ms):
            return ListingCause.ONE_TARGET, limit
        return None

    def _put(self, listing: ListedCaller, target: str) -> ListedCaller:
        key = listing.gateway, listing.caller
        # Once the number is off the list its calls count anew, also where the window is longer than that.
        self.calls.forget(key)
        self.unanswered.forget(key)
        self.to_targets.forget((*key, target))
        self._listed.pop(key, None)  # its time was over
        self._listed[key] = listing
        self._first_until = min(self._first_until, listing.until_mono)
        self.changes += 1
        if len(self._listed) > self._listed_max:
            _, first = self._listed.popitem(last=False)
            self.overflows += first.until > listing.since
        self.on_listed(listing)
        return listing


def _listing(key: CallerKey, cause: ListingCause, limit: int, limits: CallerLimits, now: Instant) -> ListedCaller:
    life_ms = 1_000 * limits.expire_s
    return ListedCaller(*key, cause, limit, now.wall, now.wall + life_ms, now.mono + life_ms)


def _ignore(_listing: ListedCaller) -> None:
    """Do nothing: the default of ``on_listed``."""
