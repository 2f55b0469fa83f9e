"""``python -m bench.week``: a week of calls on virtual time; the records, postings and balances that it leaves.

To compare two versions: run it in the tree of each and compare the output byte by byte. Ids and tags that the switch
draws are written as numbers in the order in which they appear, so that a version may draw fewer of them.
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import structlog

from vosd.testing.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from vosd.testing.sockets.loopback import Endpoint
from vosd.testing.virtual.customer import KNOWS_TIMER, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from vosd.testing.virtual.exchange import Exchange
from vosd.testing.virtual.scene import CALLEE, VENDORS, vendor_gateway
from vosd.testing.virtual.vendor import (
    RINGS,
    SILENT,
    Line,
    Script,
    answers,
    answers_reliably,
    answers_timed,
    refuses,
)

HOURS: Final = 7 * 24
CALLS_AN_HOUR: Final = 60
UNRULY_DAYS: Final = 1_000
HOUR_MS: Final = 3_600_000
CUSTOMERS: Final = {name: Endpoint(f"198.51.100.{10 + number}", 5060) for number, name in enumerate("abcd")}
BALANCES: Final = {"a": "1000", "b": "2.5", "c": "0", "d": "0.37"}
_DRAWN: Final = re.compile(r"switch[0-9a-f]{8}|\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")

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
    lines = _numbered(_week(arguments.hours, arguments.unruly, arguments.packets))
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
    from property.test_switch_midcall import Day  # the tests are no part of the package

    for seed in range(unruly):
        yield f"unruly day {seed}"
        day = Day(seed)
        day.judge()
        yield from _left(day.scene.exchange, packets)


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


def _left(exchange: Exchange, packets: bool) -> Iterator[str]:
    """Return what is left of some traffic, a line each."""
    if packets:
        yield from (f"{packet.sent_at} {packet.target} {packet.data!r}" for packet in exchange.wire.packets)
    yield from map(repr, exchange.sink.records)
    for name, credit in sorted(exchange.credits.items()):
        yield f"{name}: balance {credit.balance} unbooked {credit.unbooked} reserved {credit.reserved}"
    for left in exchange.leftovers().items():
        yield f"left: {left}"


def _numbered(lines: Iterable[str]) -> Iterator[str]:
    """Write ids and tags that the switch drew as the number of their first appearance."""
    numbers: dict[str, str] = {}
    for line in lines:
        yield _DRAWN.sub(lambda found: numbers.setdefault(found[0], f"#{len(numbers)}"), line)


if __name__ == "__main__":
    sys.exit(main())
