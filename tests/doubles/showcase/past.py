"""Calls of the days before now, rated and booked by the functions that do so for real calls."""

from datetime import UTC, datetime
from random import Random
from typing import Any, Final, NamedTuple

from vosd.admin.routing import idle_state
from vosd.b2bua.stamps import Arrival, Ending, Journey
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.base.ids import uuid7
from vosd.callcontrol.bookkeeping import conclude, draft, opened
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.replay import Replay
from vosd.callcontrol.sell_rate import rated_agents
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.past import ALWAYS_READ, PastCall
from vosd.cdr.record import Attempt, CallRecord

HOUR_MS: Final = 3_600_000
DAYS: Final = 6
CALLS_OF_HOUR: Final = (1, 1, 1, 1, 1, 2, 4, 8, 14, 18, 18, 17, 15, 16, 18, 17, 15, 12, 9, 7, 5, 4, 2, 1)
"""Calls in each hour of a day, UTC."""
DESTINATIONS: Final = ("4420", "44161", "447", "447", "4930", "8610", "1212", "1415")
FAILURES: Final = (
    (EndReason.BUSY, 486, HangupSource.CALLEE),
    (EndReason.NO_ANSWER, 480, HangupSource.CALLEE),
    (EndReason.UNAVAILABLE, 503, HangupSource.CALLEE),
    (EndReason.CANCELLED, 487, HangupSource.CALLER),
)
ANSWERED: Final = 0.72
"""Share of calls that are answered."""


class Shape(NamedTuple):
    """The course of a call."""

    callee: str
    rings_ms: int
    talks_ms: int
    """0 = it is not answered."""


def past_calls(catalogue: Catalogue, now_ms: int, seed: int = 1) -> list[CallRecord]:
    """Return calls of the days before a moment, the oldest first; each has ended a minute before it."""
    random, replay = Random(seed), Replay(catalogue, idle_state(catalogue, None))
    gateways = sorted(catalogue.mapping_gateways)
    records = []
    for hour in range(24 * DAYS, 0, -1):
        begins = now_ms - hour * HOUR_MS
        of_day = datetime.fromtimestamp(begins / 1_000, UTC).hour
        for moment in sorted(random.randrange(HOUR_MS) for _ in range(CALLS_OF_HOUR[of_day])):
            talks_ms = 1_000 * round(random.expovariate(1 / 150)) if random.random() < ANSWERED else 0
            shape = Shape(
                random.choice(DESTINATIONS) + f"{random.randrange(10**7):07}", random.randrange(900, 18_000), talks_ms
            )
            at = Instant(10**9, min(begins + moment, now_ms - 60_000 - shape.rings_ms - shape.talks_ms))
            record = _call(replay, catalogue, random, random.choice(gateways), at, shape)
            if record is not None:
                records.append(record)
    return sorted(records, key=lambda record: record.started_at)


def _call(
    replay: Replay, catalogue: Catalogue, random: Random, gateway_name: str, at: Instant, shape: Shape
) -> CallRecord | None:
    gateway, caller = catalogue.mapping_gateways[gateway_name], f"4411{random.randrange(10**7):07}"
    known = {"call_id": "", "started_at": at.wall, "mapping_gateway": gateway.name, "caller_in": caller}
    values: dict[str, Any] = {**dict.fromkeys(ALWAYS_READ), **known, "callee_in": shape.callee}
    found = replay.route(PastCall(**values))
    if found.rate is None or found.choice is None:
        return None
    request = CallRequest("", 0, 70, at=at)
    request.mapping, request.account = gateway, catalogue.accounts[gateway.account]
    request.rate, request.callee_billing = found.rate, shape.callee
    agents = rated_agents(
        catalogue.agents.get(gateway.account, ()), catalogue.rates_of, shape.callee, at.wall, found.choice.caller_out
    )
    assert not isinstance(agents, Refusal)
    request.agents = agents
    call_id = uuid7(at.wall, random.randbytes(10))
    arrival = Arrival(call_id, caller, shape.callee, f"{call_id[:8]}@{gateway.name}.example", "127.0.0.1:5060", at)
    journey, answered, pdd_ms = Journey(), at.plus(shape.rings_ms), random.randrange(200, 2_400)
    journey.note_attempt(found.choice, f"{call_id[:8]}@example", "127.0.0.1:5060")
    journey.note_ringing(at.plus(min(pdd_ms, shape.rings_ms)))
    vendor = found.choice.gateway.name
    if not shape.talks_ms:
        reason, status, source = random.choice(FAILURES)
        journey.attempts.append(Attempt(vendor, status, shape.rings_ms, pdd_ms, reason.text))
        return draft("example", arrival, request, journey, Ending(reason, source, answered, status, reason.q850_cause))
    journey.answered(Attempt(vendor, 200, shape.rings_ms, pdd_ms, "Answered"), "PCMA", "PCMA", answered)
    journey.answered_at = answered
    call = opened("example", arrival, request, journey, recorded=True)
    assert call is not None
    source = random.choice([HangupSource.CALLER, HangupSource.CALLEE])
    ending = Ending(EndReason.NORMAL, source, answered.plus(shape.talks_ms), 200, EndReason.NORMAL.q850_cause)
    return conclude(call, ending, "PCMA", "PCMA", recorded=True)
