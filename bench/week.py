"""``python -m bench.week``: a week of calls on virtual time; the records, postings and balances that it leaves.

To compare two versions: run it in the tree of each and compare the output byte by byte. Ids and tags that the switch
draws are left out, and what remains of an hour is sorted: a version may draw fewer of them, and do what is due in the
same millisecond in another order.
"""

import argparse
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, Final

import structlog
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import KNOWS_TIMER, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.exchange import Exchange
from doubles.virtual.scene import CALLEE, VENDORS, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, answers_reliably, answers_timed, refuses
from doubles.virtual.wire import Packet, Storm

from vosd.catalogue.catalogue import Catalogue

HOURS: Final = 7 * 24
CALLS_AN_HOUR: Final = 60
UNRULY_DAYS: Final = 1_000
HOUR_MS: Final = 3_600_000
CUSTOMERS: Final = {name: Endpoint(f"198.51.100.{10 + number}", 5060) for number, name in enumerate("abcd")}
BALANCES: Final = {"a": "1000", "b": "2.5", "c": "0", "d": "0.37"}
_DRAWN: Final = re.compile(r"switch[0-9a-f]{8}|\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_DRAWN_BYTES: Final = re.compile(_DRAWN.pattern.encode())

INTENTS: Final = [
    *[Intent()] * 6,
    Intent(headers=KNOWS_UPDATE),
    Intent(headers=(*KNOWS_UPDATE, *KNOWS_TIMER)),
    Intent(headers=(*KNOWS_TIMER, "Session-Expires: 90;refresher=uac")),
    Intent(offer=""),
    Intent(headers=SUPPORTS_100REL),
    Intent(acknowledges=False),
    Intent(cancel_after_ms=900),
]
SCRIPTS: Final = [
    *[answers()] * 6,
    answers(7_300),
    answers_timed("90;refresher=uas"),
    answers_reliably(),
    Script((Line(0, 183, answers().lines[-1].body), Line(1_000, 200, answers().lines[-1].body))),
    *[refuses(status) for status in (404, 480, 486, 500, 503, 603)],
    RINGS,
    SILENT,
]


def main() -> int:
    """Run the week and print its lines, or their digest."""
    parser = argparse.ArgumentParser(prog="python -m bench.week", description=__doc__)
    parser.add_argument("--hours", type=int, default=HOURS, help="hours of plain traffic (default 168)")
    parser.add_argument(
        "--unruly", type=int, default=UNRULY_DAYS, help="days of the tests' unruly traffic (default 1000)"
    )
    parser.add_argument("--packets", action="store_true", help="the packets that the switch sends as well")
    parser.add_argument("--digest", action="store_true", help="only a digest and the number of lines")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    lines = _week(arguments.hours, arguments.unruly, arguments.packets)
    if not arguments.digest:
        for line in lines:
            print(line)
        return 0
    digest, number = hashlib.sha256(), 0
    for line in lines:
        digest.update(line.encode() + b"\n")
        number += 1
    print(digest.hexdigest(), number, "lines")
    return 0


def _week(hours: int, unruly: int, packets: bool) -> Iterator[str]:
    for seed in range(hours):
        yield f"hour {seed}"
        yield from _left(_plain_hour(Random(seed)), packets)
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    unruly_days: Any = import_module("property.test_switch_midcall")  # the tests are no part of the package

    unruly_days.Scene = _PunctualScene
    unruly_days.Storm = _Weather
    for seed in range(unruly):
        yield f"unruly day {seed}"
        day = unruly_days.Day(seed)
        day.judge()
        yield from _left(day.scene.exchange, packets)


class _PunctualScene(Scene):
    """Timers that run at their times: how late others ran would show at which times a version wakes up."""

    def __init__(self, content: Catalogue, *, balance: str, lateness_ms: int) -> None:
        assert lateness_ms >= 0
        super().__init__(content, balance=balance)
        for agent in (self.caller, *self.vendors):
            agent.minds_origins = False  # what is falsified has any origin; here no version is judged


class _Weather(Storm):
    """A storm that strikes packets by what they say, not in the order in which they are sent.

    What is sent in the same millisecond may change its order between two versions.
    """

    def __init__(self, seed: int, *, loss: float = 0.0, doubling: float = 0.0, jitter_ms: int = 0) -> None:
        super().__init__(seed, loss=loss, doubling=doubling, jitter_ms=jitter_ms)
        self._seed = seed
        self._sent: Counter[bytes] = Counter()

    def __call__(self, packet: Packet) -> Sequence[int]:
        """Return the delays of one packet."""
        said = _DRAWN_BYTES.sub(b"", b"%s %s" % (str(packet.target).encode(), packet.data))
        self._sent[said] += 1
        self._random.seed(b"%d %d %s" % (self._seed, self._sent[said], said))
        return super().__call__(packet)


def _plain_hour(draw: Random) -> Exchange:
    """Let four customers call through three vendors for an hour, with rates of every shape."""
    policy = rating_policy(
        hold_time_precision_ms=draw.choice([0, 50, 500]), free_time_s=draw.choice([0, 0, 6]),
        fee_precision=draw.choice([2, 4, 6]), nonzero_floor=draw.random() < 0.3,
    )  # fmt: skip
    groups = [
        rate_group(
            name,
            applied_rate(
                draw.choice(["0.60", "0.0123", "1.999999"]), draw.choice([1, 6, 60]), per_cycle=draw.random() < 0.3,
                first_rate=draw.choice([None, "0.30"]), first_duration=draw.choice([0, 30, 60]),
                tax_rate=draw.choice(["0", "0.19"]), policy=policy,
            ),
        )
        for name in ("sell", "buy")
    ]  # fmt: skip
    content = catalogue(
        [
            *(mapping_gateway(name, f"{at.host}/32") for name, at in CUSTOMERS.items()),
            *(vendor_gateway(index, ring_timeout_ms=20_000) for index in range(len(VENDORS))),
        ],
        accounts=[account("c", overdraft_limit=draw.choice([None, 20]))],
        rate_groups=groups,
        max_call_seconds=draw.choice([300, 7_200]),
    )
    exchange = Exchange(content, balances=BALANCES)
    callers = [exchange.caller(at) for at in CUSTOMERS.values()]
    vendors = [exchange.vendor(at) for at in VENDORS]
    for number in range(CALLS_AN_HOUR):
        callee = f"{CALLEE}{number}"
        for vendor in vendors:
            hang_up = draw.choice([None, draw.randrange(900_000)])
            vendor.by_number = {**vendor.by_number, callee: draw.choice(SCRIPTS)._replace(hang_up_after_ms=hang_up)}
        intent = draw.choice(INTENTS)._replace(hang_up_after_ms=draw.randrange(draw.choice([3_000, 1_200_000])))
        exchange.wire.after(draw.randrange(HOUR_MS), partial(draw.choice(callers).call, callee, intent))
    exchange.wire.run_for(HOUR_MS)
    exchange.wire.run_until(lambda: not exchange.switch.has_calls, within_ms=3 * HOUR_MS)
    return exchange


def _left(exchange: Exchange, packets: bool) -> list[str]:
    """Return what is left of some traffic, sorted, a line each."""
    lines = [repr(record) for record in exchange.sink.records]
    if packets:
        lines += [f"{packet.sent_at} {packet.target} {packet.data!r}" for packet in exchange.wire.packets]
    for name, credit in exchange.credits.items():
        lines.append(f"{name}: balance {credit.balance} unbooked {credit.unbooked} reserved {credit.reserved}")
    lines += [f"left: {left}" for left in exchange.leftovers().items()]
    return sorted(_DRAWN.sub("#", line) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
