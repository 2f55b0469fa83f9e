"""A month of calls with every kind of rate, rated and booked by the functions that do so for real calls."""

from pathlib import Path
from random import Random
from typing import Any, Final

from vosd.admin.routing import idle_state
from vosd.b2bua.settings import DeadCallBilling
from vosd.b2bua.stamps import Arrival, DeadCall, Ending, Journey
from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.base.ids import uuid7
from vosd.billing.parties import Party
from vosd.callcontrol.bookkeeping import conclude, opened
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.replay import Replay
from vosd.callcontrol.sell_rate import rated_agents
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.past import ALWAYS_READ, PastAgent, PastCall
from vosd.cdr.record import AGENT, Attempt, CallRecord
from vosd.config.load import load

BEGIN: Final = 1_788_220_800_000
"""UTC milliseconds of the first day."""
DAYS: Final = 31

CONFIGURATION: Final = """
billing: {free_time_scope: customer}
parameters:
  SS_BILLINGUNIT: 6
  SERVER_BILLING_HOLD_TIME_PRECISION: 50
  SERVER_BILLING_FREE_E164S: "4915999*"
calendars:
  - name: office
    timezone: Europe/Berlin
    entries: [{weekdays: [mon, tue, wed, thu, fri], from: "08:00", to: "18:00"}]
rate_groups:
  - name: retail
    origins: [{name: hidden, callers: [missing, invalid], rate_group: surcharged}]
    fee_precision: 4
    rates:
      - {prefix: "44", area: "United Kingdom", billing_rate: "0.0123", tax_rate: "19"}
      - {prefix: "4420", area: "London", billing_rate: "0.017", interval: "30/6", tax_rate: "7.7"}
      - {prefix: "447", area: "UK mobile", billing_rate: "0.19999999", billing_cycle: 1}
      - {prefix: "4479", billing_rate: "0.31", first_rate: "0.111", first_duration: 20, billing_cycle: 7}
      - {prefix: "49", billing_rate: "0.02", connection_fee: "0.05", minimum_charge: "0.0613"}
      - {prefix: "4915", billing_rate: "0.09", sections: "0.10@60;0.18@120;0.18@180", billing_cycle: 10}
      - {prefix: "1", billing_rate: "0"}
  - name: by-cycle
    price_per: cycle
    billing_unit: 60
    free_time: 3
    fee_precision: 2
    fee_rounding: up
    fee_nonzero_floor: yes
    rates:
      - {prefix: "*", billing_rate: "0.0071"}
      - {prefix: "49", billing_rate: "0.00001", tax_rate: "16"}
  - name: uncapped
    section_cap: no
    fee_rounding: down
    fee_precision: 3
    rates:
      - {prefix: "*", billing_rate: "0.6", sections: "0.10@60;0.15@120", connection_fee: "0.0004"}
  - name: private
    rates: [{prefix: "442", rate_type: net, billing_rate: "0.01", first_rate: "0.2", first_duration: 60}]
  - name: night
    rates: [{prefix: "44", rate_type: net, billing_rate: "0.008", connection_fee: "0.1"}]
  - name: wholesale
    fee_precision: 8
    rates: [{prefix: "*", billing_rate: "0.00987654", billing_cycle: 1}, {prefix: "44", billing_rate: "0.007"}]
  - name: surcharged
    rates: [{prefix: "*", billing_rate: "0.4", tax_rate: "3"}]
  - name: minutes
    origins:
      - {name: near, prefixes: ["33", "49"], rate_group: wholesale}
      - {name: elsewhere, prefixes: ["*"], rate_group: surcharged}
    rates: [{prefix: "*", billing_rate: "0.011", interval: "60/60"}]
period_rates:
  - name: tariff
    periods:
      - {name: rest, calendar: office, when: rest, rate_group: night}
      - {name: work, calendar: office, multiplier: "1.13000777"}
accounts:
  - {id: plain, rate_group: retail}
  - {id: cycles, rate_group: by-cycle, fee_precision: 3, hold_time_precision: 500, tax_exempt: yes, agent: agent}
  - {id: sections, rate_group: uncapped}
  - {id: cheapest, rate_group: retail, private_rate_group: private, period_rates: tariff}
  - id: preferred
    rate_group: retail
    private_rate_group: private
    period_rates: tariff
    rate_selection: priority
    rate_types: net
  - {id: agent, rate_group: by-cycle}
  - id: seconds
    type: clearing
    rate_group: wholesale
    billing_unit: 5
    fee_rounding: down
    overdraft_limit: unlimited
  - {id: minutes, type: clearing, rate_group: minutes, overdraft_limit: unlimited}
mapping_gateways:
  - {name: plain, account: plain, hosts: 192.0.2.1, tech_prefix: "77"}
  - {name: other-group, account: plain, hosts: 192.0.2.2, rate_group: uncapped}
  - {name: cycles, account: cycles, hosts: 192.0.2.3, caller_rewrite: [["0", "49"]]}
  - {name: sections, account: sections, hosts: 192.0.2.4, caller_rewrite: [["0", "49"]]}
  - {name: cheapest, account: cheapest, hosts: 192.0.2.5}
  - {name: preferred, account: preferred, hosts: 192.0.2.6}
routing_gateways:
  - {name: seconds, account: seconds, address: 203.0.113.1}
  - {name: minutes, account: minutes, address: 203.0.113.2}
  - {name: private, account: seconds, address: 203.0.113.3, private_rate_group: private}
  - {name: unrated, account: plain, address: 203.0.113.4, allow_unrated: yes, prefixes: ["39"]}
routing: {loss_guard: off}
"""
_PREFIXES: Final = ("4915999", "4420", "447", "4479", "441", "49", "4915", "1", "39")
_CALLERS: Final = ("+4930123456", "33123456789", "12025550100", "anonymous", "0301234567")
_LENGTHS: Final = (
    0,
    1,
    49,
    50,
    999,
    1_000,
    1_049,
    1_050,
    5_999,
    6_050,
    59_950,
    60_000,
    60_049,
    60_050,
    119_999,
    180_000,
)


def catalogue_of(directory: Path, text: str = CONFIGURATION) -> Catalogue:
    """Load the configuration, or another one."""
    path = directory / "month.yaml"
    path.write_text(text)
    return load(path, {}).catalogue


def month(catalogue: Catalogue, count: int, seed: int = 1) -> list[CallRecord]:
    """Return calls of a month, each with the rates that a call of its moment is given, oldest first."""
    random, replay, calls = Random(seed), Replay(catalogue, idle_state(catalogue, None)), []
    for number in range(count):
        wall_ms = BEGIN + DAYS * 86_400_000 * number // count + random.randrange(1_000)
        gateway = random.choice([*catalogue.mapping_gateways.values()])
        callee = random.choice(_PREFIXES) + str(random.randrange(10**6, 10**8))
        dialled = gateway.tech_prefix + random.choice(["", "+"]) * (not gateway.tech_prefix) + callee
        past = _arrived(wall_ms, gateway.name, random.choice(_CALLERS), dialled)
        found = replay.route(past)
        if found.rate is None or found.choice is None:
            continue
        at, rings_ms, lag_ms = Instant(5_000_000, wall_ms), random.randrange(30_000), random.choice([0, 1, 250, 1_500])
        request = CallRequest("", 0, 70, at=at)
        request.mapping, request.account = gateway, catalogue.accounts[gateway.account]
        request.rate, request.callee_billing = found.rate, callee
        request.agents = _agents(catalogue, gateway.account, callee, wall_ms, found.choice.caller_out)
        journey = Journey()
        journey.note_attempt(found.choice, "out", "203.0.113.1:5060")
        answered = at.plus(rings_ms)
        journey.answered(Attempt(found.choice.gateway.name, 200, rings_ms, 20, "Answered"), "PCMA", "PCMA", answered)
        is_answered = number % 11 != 0
        journey.answered_at = answered.plus(lag_ms) if is_answered else None
        call_id = uuid7(wall_ms, number.to_bytes(10, "big"))
        arrival = Arrival(call_id, past.caller_in, dialled, "in", "192.0.2.1:5060", at)
        call = opened("sw1", arrival, request, journey, recorded=True)
        assert call is not None
        length_ms = random.choice([*_LENGTHS, random.randrange(1, 20_000), random.randrange(1, 3_600_000)])
        end = answered.plus(lag_ms + length_ms)
        vanished = DeadCall(DeadCallBilling.DETECTION, end, answered) if number % 13 == 0 else None
        ending = Ending(EndReason.NORMAL, HangupSource.CALLER, end, 200, 16, dead_call=vanished)
        calls.append(conclude(call, ending, "PCMA", "PCMA", recorded=True))
    return calls


def past_of(record: CallRecord) -> PastCall:
    """Return what a reading of the record would have."""
    agents = tuple(
        PastAgent(row.account, row.level, row.fee, row.tax, row.currency, row.rate_group)
        for row in record.charges
        if row.role == AGENT
    )
    values: dict[str, Any] = {name: getattr(record, name) for name in ALWAYS_READ}
    return PastCall(**values, fee_breakdown=record.fee_breakdown, agents=agents)


def _agents(catalogue: Catalogue, account: str, callee: str, wall_ms: int, caller: str) -> tuple[Party, ...]:
    agents = rated_agents(catalogue.agents.get(account, ()), catalogue.rates_of, callee, wall_ms, caller)
    assert not isinstance(agents, Refusal)
    return agents


def _arrived(wall_ms: int, gateway: str, caller: str, dialled: str) -> PastCall:
    known: dict[str, Any] = {"call_id": "", "started_at": wall_ms, "mapping_gateway": gateway, "caller_in": caller}
    return PastCall(**{**dict.fromkeys(ALWAYS_READ), **known, "callee_in": dialled})
