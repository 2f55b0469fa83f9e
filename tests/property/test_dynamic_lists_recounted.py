"""The dynamic blacklist against a model that keeps every call and counts anew each time."""

from typing import NamedTuple

from hypothesis import given, strategies as st

from vosd.base.clock import Instant
from vosd.routing.dynamic_lists import CountedCall, DynamicLists, ListingCause
from vosd.trunks.gateways import CallerLimits

limits_of_callers = st.builds(
    CallerLimits,
    concurrent_limit=st.none() | st.integers(1, 4),
    frequency_limit=st.none() | st.integers(1, 5),
    no_answer_limit=st.none() | st.integers(1, 4),
    target_limit=st.none() | st.integers(1, 4),
    window_s=st.integers(1, 6),
    expire_s=st.integers(1, 8),
)
deeds = st.one_of(
    st.tuples(st.just("call"), st.sampled_from("ab"), st.sampled_from("xy")),
    st.tuples(st.just("end"), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("undo"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.sampled_from([1, 400, 1_000, 2_500])),
    st.just(("clear",)),
)


class Row(NamedTuple):
    """One call."""

    number: int
    caller: str
    target: str
    at: int


class Model:
    """All that has happened since each caller was listed or cleared last, and what is still going on."""

    def __init__(self, limits: CallerLimits) -> None:
        self.limits = limits
        self.calls: list[Row] = []
        self.to_targets: list[Row] = []
        self.unanswered: list[Row] = []
        self.running: list[tuple[Row, CountedCall]] = []
        self.until: dict[str, int] = {}

    def recent(self, rows: list[Row], caller: str, now: int, target: str | None = None) -> int:
        window_ms = 1_000 * self.limits.window_s
        return sum(row.caller == caller and target in {None, row.target} and now - row.at < window_ms for row in rows)

    def active(self, caller: str) -> int:
        return sum(row.caller == caller for row, _ in self.running)

    def cause(self, caller: str, target: str, now: int) -> ListingCause | None:
        limits = self.limits
        counts = {
            ListingCause.CONCURRENT: (limits.concurrent_limit, self.active(caller)),
            ListingCause.FREQUENCY: (limits.frequency_limit, self.recent(self.calls, caller, now)),
            ListingCause.NO_ANSWER: (limits.no_answer_limit, self.recent(self.unanswered, caller, now)),
            ListingCause.ONE_TARGET: (limits.target_limit, self.recent(self.to_targets, caller, now, target)),
        }
        return next((cause for cause, (limit, count) in counts.items() if limit is not None and count >= limit), None)

    def forget(self, callers: set[str], target: str | None = None) -> None:
        self.calls = [row for row in self.calls if row.caller not in callers]
        self.unanswered = [row for row in self.unanswered if row.caller not in callers]
        self.to_targets = [
            row for row in self.to_targets if row.caller not in callers or target not in {None, row.target}
        ]


@given(limits_of_callers, st.lists(deeds, max_size=60))
def test_callers_are_listed_when_a_recount_says_so(limits, happens):
    lists, model, now = DynamicLists(), Model(limits), Instant(0, 0)
    for number, deed in enumerate(happens):
        match deed:
            case ("call", caller, target):
                is_listed = now.mono < model.until.get(caller, 0)
                cause = None if is_listed else model.cause(caller, target, now.mono)
                counted = lists.take("acme", caller, target, limits, now)
                assert isinstance(counted, CountedCall) is (not is_listed and cause is None)
                if cause is not None:
                    assert counted.cause is cause
                    model.until[caller] = now.mono + 1_000 * limits.expire_s
                    model.forget({caller}, target)
                elif not is_listed:
                    row = Row(number, caller, target, now.mono)
                    model.running.append((row, counted))
                    model.calls.append(row)
                    model.to_targets.append(row)
            case ("end", which, is_answered) if model.running:
                row, counted = model.running.pop(which % len(model.running))
                if not is_answered:
                    counted.unanswered(now.mono)
                    model.unanswered.append(row._replace(at=now.mono))
                counted.give_back()
            case ("undo", which) if model.running:
                row, counted = model.running.pop(which % len(model.running))
                counted.undo()
                for rows in (model.calls, model.to_targets):
                    if row in rows:
                        rows.remove(row)
            case ("wait", ms):
                now = now.plus(ms)
            case ("clear",):
                assert lists.clear(None, now.mono) == sum(now.mono < until for until in model.until.values())
                model.forget(set(model.until))
                model.until = {}
        assert [lists.active("acme", caller) for caller in "ab"] == [model.active(caller) for caller in "ab"]
        assert {each.caller for each in lists.listed(now.mono)} == {
            caller for caller, until in model.until.items() if now.mono < until
        }
