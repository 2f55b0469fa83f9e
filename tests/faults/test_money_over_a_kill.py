"""Three hundred calls over two kills: what each account has paid is exact to the last digit, at every level.

The daemon has a clock that the test moves, so the length of each call is known to the millisecond; what each account
owes is computed here from those lengths alone. Customers pay in advance, below two levels of agents, and one vendor is
paid in advance as well. At the end a part of what is left is paid back.
"""

from contextlib import ExitStack
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from typing import Final

from doubles.moved_clock import MovedClock, follow
from doubles.sockets.loopback import Endpoint
from e2e.addresses import NETWORK
from e2e.conditions import eventually

from .parties import Customer

CALLS: Final = 300
AT_ONCE: Final = 25
"""So many answers fit into the buffer of a socket."""
BEGIN_MS: Final = 1_790_000_000_000
PRECISION_MS: Final = 50
STEP: Final = Decimal("0.000001")
PAID: Final = {name: Decimal(1_000) for name in ("one", "two", "south", "top", "ahead")} | {
    "three": Decimal("7.123456")
}
CONFIGURATION: Final = """
node: faults
sip:
  listen: ["udp:$switch"]
  timers: {t1: 5, t2: 10}
  overload: {max_lag: 0}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
rate_groups:
  - {name: of-one, rates: [{prefix: "44", billing_rate: "0.91", billing_cycle: 6, tax_rate: "19"}]}
  - {name: of-two, rates: [{prefix: "44", billing_rate: "0.613", billing_cycle: 1}]}
  - {name: of-three, rates: [{prefix: "44", billing_rate: "0.47", billing_cycle: 1, tax_rate: "7"}]}
  - {name: of-south, rates: [{prefix: "44", billing_rate: "0.541", billing_cycle: 1, tax_rate: "19"}]}
  - {name: of-top, rates: [{prefix: "44", billing_rate: "0.48", billing_cycle: 60}]}
  - {name: of-ahead, rates: [{prefix: "4410", billing_rate: "0.307", billing_cycle: 1}]}
  - {name: of-later, rates: [{prefix: "4420", billing_rate: "0.299", billing_cycle: 30}]}
accounts:
  - {id: one, rate_group: of-one, agent: south}
  - {id: two, rate_group: of-two, agent: south}
  - {id: three, rate_group: of-three, agent: top}
  - {id: south, rate_group: of-south, agent: top}
  - {id: top, rate_group: of-top}
  - {id: ahead, type: clearing, rate_group: of-ahead}
  - {id: later, type: clearing, rate_group: of-later, overdraft_limit: "unlimited"}
mapping_gateways:
  - {name: one-pbx, account: one, hosts: ["$customer"]}
  - {name: two-pbx, account: two, hosts: ["$second"]}
  - {name: three-pbx, account: three, hosts: ["$third"]}
routing_gateways:
  - {name: ahead, account: ahead, address: "$vendor", prefixes: ["4410"]}
  - {name: later, account: later, address: "$vendor", prefixes: ["4420"]}
"""
RATES: Final = {
    "one": (Decimal("0.91"), 6, Decimal("0.19")), "two": (Decimal("0.613"), 1, Decimal(0)),
    "three": (Decimal("0.47"), 1, Decimal("0.07")), "south": (Decimal("0.541"), 1, Decimal("0.19")),
    "top": (Decimal("0.48"), 60, Decimal(0)), "ahead": (Decimal("0.307"), 1, Decimal(0)),
    "later": (Decimal("0.299"), 30, Decimal(0)),
}  # fmt: skip
"""Price of a minute, cycle and share of tax."""
AGENTS: Final = {"one": ("south", "top"), "two": ("south", "top"), "three": ("top",)}
LENGTHS_MS: Final = (17_049, 31_450, 60_000, 61_050, 119_999)
"""When calls are ended, each time a fifth of them."""
KILLS_MS: Final = ((25_000, 28_321), (61_051, 75_500))
"""When the switch is killed, and when it starts again."""

_ports: Final = count(16_500)


def charge(account: str, lasted_ms: int) -> Decimal:
    """Compute what an account pays for a call, with tax."""
    rate, cycle_s, tax = RATES[account]
    seconds = lasted_ms // 1_000 + (lasted_ms % 1_000 >= PRECISION_MS)
    billed_s = -(-seconds // cycle_s) * cycle_s
    fee = (billed_s * rate / 60).quantize(STEP, ROUND_HALF_UP)
    return fee + (fee * tax).quantize(STEP, ROUND_HALF_UP)


def test_each_account_has_paid_to_the_last_digit_for_calls_that_two_kills_have_interrupted(stage, tmp_path):
    clock = MovedClock(tmp_path, BEGIN_MS)
    hosts = [address(host) for host in (12, 13)]
    scene = stage(configuration=CONFIGURATION, prepare=follow, second=hosts[0].host, third=hosts[1].host)
    daemon, vendor = scene.daemon, scene.vendor
    for account, amount in PAID.items():
        daemon.succeed("payment", "add", "--account", account, "--amount", str(amount))
    eventually(lambda: available(daemon, "three") == PAID["three"], "the switch knows of the payments")
    with ExitStack() as running:
        others = [running.enter_context(Customer(each, scene.switch)) for each in hosts]
        customers = {"one": scene.customer, "two": others[0], "three": others[1]}
        calls = []
        for number in range(CALLS):
            # the third has little money: six calls of it share what there is
            name = "three" if number % 50 == 7 else ("one", "two")[number % 2]
            dialled = f"44{10 * (1 + number // 2 % 2)}{number:06d}"
            calls.append((name, dialled, customers[name].call(dialled)))
            if number % AT_ONCE == AT_ONCE - 1:
                eventually(lambda: all(call.answer for *_, call in calls), "every call answered")
        assert daemon.ask("status")["holds"] == CALLS
        kills = list(KILLS_MS)
        groups = {ms: [each for place, each in enumerate(calls) if place % 5 == turn and each[0] != "three"]
                  for turn, ms in enumerate(LENGTHS_MS)}  # fmt: skip
        for at_ms in LENGTHS_MS:
            while kills and kills[0][0] < at_ms:
                killed_ms, started_ms = kills.pop(0)
                clock.stand_at(killed_ms)
                kill_and_start(daemon, clock, started_ms)
            clock.stand_at(at_ms)
            for place, (name, dialled, call) in enumerate(groups[at_ms]):
                if place % 2:
                    customers[name].hang_up(call)
                else:
                    vendor.hang_up(dialled)
            gone = CALLS - sum(len(groups[ms]) for ms in LENGTHS_MS if ms <= at_ms)
            eventually(lambda left=gone: daemon.ask("status")["calls"] <= left, "the calls that were hung up end")
        clock.stand_at(1_000_000)
        eventually(lambda: quiet(daemon), lambda: f"nothing is left: {daemon.ask('status')}")
    records = {record["callee_in"]: record for record in daemon.ask("cdr", "list", "--limit", "1000")}
    assert len(records) == CALLS
    lengths = {dialled: ms for ms, group in groups.items() for _, dialled, _ in group}
    owed = dict.fromkeys(RATES, Decimal(0))
    for name, dialled, _ in calls:
        record = records[dialled]
        ends = ("Balance Exhausted", "switch") if name == "three" else ("Normal", record["hangup_source"])
        assert (record["end_reason"], record["hangup_source"]) == ends
        lasted_ms = lengths.get(dialled, record["hold_time_ms"])
        assert record["hold_time_ms"] == lasted_ms
        for account in (name, *AGENTS[name], record["vendor_account"]):
            owed[account] += charge(account, lasted_ms)
    assert 0 <= PAID["three"] - owed["three"] < Decimal("0.1"), "its calls ended when its money did"
    refunds = {}
    for account, paid in PAID.items():
        left = paid - owed[account]
        assert available(daemon, account) == left, account
        refunds[account] = (left / 3).quantize(STEP)
        if refunds[account]:
            daemon.succeed(
                "payment", "add", "--account", account, "--amount", str(refunds[account]), "--type", "refund"
            )
    for account, amount in owed.items():
        shown = daemon.ask("account", "show", account)
        assert Decimal(shown["balance"]) == PAID.get(account, 0) - amount - refunds.get(account, 0), account
        assert Decimal(shown["reserved"]) == 0
    daemon.succeed("ledger", "verify")


def kill_and_start(daemon, clock, started_ms):
    """Kill the switch after its journal has marked the time; its clock stands later when it starts again."""
    daemon.kill()
    clock.stand_at(started_ms)
    daemon.start()


def available(daemon, account):
    return Decimal(daemon.ask("account", "show", account)["available"])


def quiet(daemon):
    status = daemon.ask("status")
    return not any(status[name] for name in ("calls", "legs", "holds", "cdr_queue", "spool_rows"))


def address(host):
    """Return an address of a customer, at a port of its own."""
    return Endpoint(f"{NETWORK}.{host}", next(_ports))
