"""``python -m bench.routing [RATES]``: one routing decision of a carrier's switch, without SIP.

1,000 routing gateways with 5,000 prefixes, of which 20 fit a number, 1,000 mapping gateways, and a million buy rates
(or RATES) in a compiled file. Measured is the step of the set-up that finds the first route, from the request to the
choice with its price and margin; and the same by plans that compare all 20 by price, which belong to one vendor or to
ten. As in the switch, the garbage collector does not look at what the configuration has made.
"""

import gc
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

from vosd.base.clock import Instant
from vosd.billing.holds import AccountCredit
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.live_state import LiveState
from vosd.catalogue.catalogue import Catalogue
from vosd.config.load import load
from vosd.daemon.bootstrap import GC_THRESHOLDS

GATEWAYS = 1_000
PREFIXES = 5_000
FITTING = 20
GROUPS = 10
"""Accounts of vendors, each with its share of the buy rates."""
DECISIONS = 20_000
WALL_MS = 1_790_000_000_000
RUNS = 5
"""Others use the machine, too: what they cost a decision differs from run to run."""
GOAL_US = (50, 200)


def configuration(directory: Path, rates: int) -> Path:
    """Write the files of the switch; return the main one.

    Each gateway takes 5 prefixes of 4 digits and each prefix is taken by 20 gateways of 5 priorities: 250 prefixes
    that traffic goes to, and as many gateways below each as fit. Those of one prefix belong to one vendor or to ten.
    """
    for group in range(GROUPS):
        with (directory / f"buy{group}.csv").open("w") as file:
            file.write("prefix,billing_rate\n")
            for number in range(rates // GROUPS):
                file.write(f"{1_000_000 + number},0.{10 + (number * 7 + group) % 80:02d}\n")
            for prefix in range(1_000, 1_250):
                file.write(f"{prefix},0.{10 + (prefix + group) % 80:02d}\n")
    lines = [
        "rate_groups:",
        "  - {name: sell, rates: [{prefix: '1', billing_rate: '0.95'}]}",
        *(f"  - {{name: buy{group}, rates_file: buy{group}.csv}}" for group in range(GROUPS)),
        "accounts:",
        "  - {id: acme, rate_group: sell, overdraft_limit: unlimited}",
        *(
            f"  - {{id: vendor{group}, type: clearing, rate_group: buy{group}, overdraft_limit: unlimited}}"
            for group in range(GROUPS)
        ),
        "routing_plans: [{name: cheapest, order: [cost]}]",
        "mapping_gateways:",
        *(
            f"  - {{name: customer{each}, account: acme, hosts: 10.{each // 250}.{each % 250}.1,"
            f" routing_plan: {'cheapest' if each % 2 else 'null'}}}".replace(", routing_plan: null", "")
            for each in range(GATEWAYS)
        ),
        "routing_gateways:",
    ]
    taken = PREFIXES // GATEWAYS
    for each in range(GATEWAYS):
        prefixes = [str(1_000 + (each * taken + offset) % (PREFIXES // FITTING)) for offset in range(taken)]
        vendor = each // (GATEWAYS // FITTING) % GROUPS if each % 2 else each % GROUPS
        lines.append(
            f"  - {{name: gateway{each}, account: vendor{vendor}, address: 10.9.{each // 250}.{each % 250},"
            f" prefixes: [{', '.join(prefixes)}], priority: {1 + each // 50 % 5}, max_concurrent: 500, max_cps: 100}}"
        )
    path = directory / "vosd.yaml"
    path.write_text("\n".join([f"state_dir: {directory}/var", *lines]))
    return path


def clock_us() -> float:
    """Return the processor time that reading the clock takes."""
    taken = []
    for _ in range(2_000):
        began = time.thread_time_ns()
        taken.append(time.thread_time_ns() - began)
    return median(taken) / 1_000


def microseconds(catalogue: Catalogue, mapping: str, numbers: Sequence[str]) -> list[float]:
    """Return the processor time of each decision for calls of a mapping gateway: others may use the machine, too."""
    credits = {name: AccountCredit(name, limit=None) for name in catalogue.accounts}
    admission = Admission(catalogue, LiveState(credits))
    gateway = catalogue.mapping_gateways[mapping]
    account, taken = catalogue.accounts[gateway.account], []
    for place, number in enumerate(numbers):
        call = CallRequest("10.0.0.1", 5060, 69, at=Instant(20 * place, WALL_MS))
        call.mapping, call.account = gateway, account
        call.callee = call.callee_billing = number
        call.caller = "12025550100"
        if admission.find_sell_rate(call) is not None:
            raise SystemExit("no sell rate")
        began = time.thread_time_ns()
        refusal = admission.find_routes(call)
        choice = None if refusal is not None else next(call.choices)
        taken.append((time.thread_time_ns() - began) / 1_000)
        if choice is None or choice.terms is None:
            raise SystemExit(f"no route: {refusal}")
    reading_us = clock_us()
    return [max(each - reading_us, 0.0) for each in taken]


def has_ten_vendors(number: str) -> bool:
    """Return whether the gateways that a number fits belong to ten vendors, and not to one."""
    return (int(number[:4]) - 1_000) // (PREFIXES // GATEWAYS) % 2 == 1


def p99(taken: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return quantiles(taken, n=100)[-1]


def main() -> None:
    """Print the figures."""
    rates = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    drawn = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        path = configuration(Path(directory), rates)
        began = time.perf_counter()
        catalogue = load(path).catalogue
        print(f"{rates:,} buy rates, {GATEWAYS:,} gateways of each kind: loaded in {time.perf_counter() - began:.1f} s")
        numbers = [f"{drawn.randrange(1_000, 1_250)}{drawn.randrange(10**8):08d}" for _ in range(DECISIONS)]
        fitting = {len(catalogue.routes.candidates(number, WALL_MS)) for number in numbers}
        print(f"gateways that fit a number: {min(fitting)} to {max(fitting)}")
        of_one, of_ten = ([each for each in numbers if has_ten_vendors(each) is ten] for ten in (False, True))
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        for name, mapping, called in (
            ("routing decision", "customer0", numbers),
            ("routing decision by cost, of one vendor", "customer1", of_one),
            ("routing decision by cost, of ten vendors", "customer1", of_ten),
        ):
            microseconds(catalogue, mapping, called[:2_000])
            runs = [microseconds(catalogue, mapping, called) for _ in range(RUNS)]
            least = [min(taken) for taken in zip(*runs, strict=True)]
            middle, late = min(map(median, runs)), min(map(p99, runs))
            print(
                f"{name}: median {middle:.1f} us, p99 {late:.1f} us (goal {GOAL_US[0]} and {GOAL_US[1]}), the best of"
                f" {RUNS} runs; the least of each decision: median {median(least):.1f} us, p99 {p99(least):.1f} us"
            )


if __name__ == "__main__":
    main()
