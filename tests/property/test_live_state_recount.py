"""After every step of any set of calls, each counter of the live state equals a recount of the live calls.

Calls of two customers and a phone are refused, hunted, cancelled, asked about, transferred, redirected and ended by
operators, while packets are lost, timers are late, reloads and operational overrides change limits and remove what the
calls use. All on virtual time.
"""

from collections import Counter
from decimal import Decimal
from typing import Any, Final

import msgspec
import structlog
from doubles.asking_steps import Located, ScriptedAsker, Unfit, looking_up, steps_with
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, override, phone, rate_group
from doubles.exploring import examples
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.exchange import SWITCH, Exchange
from doubles.virtual.scene import CUSTOMER, VENDORS, vendor_gateway
from doubles.virtual.vendor import RINGS, SILENT, TRIES, Line, Script, answers, refuses
from doubles.virtual.wire import Storm
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vosd.base.cause import EndReason
from vosd.billing.accounts import AccountType
from vosd.callcontrol.taken import PlaceTaken
from vosd.catalogue.overrides import SETTINGS, Setting, Target
from vosd.routing.plan import RouteRow, RoutingPlan
from vosd.trunks.dialect import CalleeDialect, Redirects
from vosd.trunks.gateways import CallerLimits
from vosd.trunks.groups import GatewayGroup
from vosd.trunks.scope import LimitScope

OTHER_CUSTOMER: Final = Endpoint("198.51.100.20", 5060)
TELEPHONE: Final = Endpoint("198.51.100.30", 5060)
NUMBERS: Final = ("442011", "442012", "442013", "442014", "1001", "1001", "442019", "99")
"""44 fits all vendors; 1001 is the phone's, 99 has no rate, and the lookup of 442019 takes time."""
NAMES: Final = {
    LimitScope.ACCOUNT: ("acme", "bingo", "carriers"),
    LimitScope.MAPPING: ("acme", "bingo", "1001"),
    LimitScope.ROUTING: ("vendor-0", "vendor-1", "vendor-2"),
}
ROUTES: Final = (
    RouteRow("44", "vendor-0", max_calls=1),
    RouteRow("442", "vendor-1", max_calls=2),
    RouteRow("44", "vendor-2", percent=30),
    RouteRow("44", "vendor-1", priority=3),
)
"""Of the plan of the second customer."""
ERRORS: Final = {"call_aborted", "call_not_ended", "message_not_processed"}
WINDOW_MS: Final = 1_000
REFUSED_LATE: Final = {EndReason.ADMINISTRATIVE.text, EndReason.LOST.text}
"""Ends by the switch of calls that were admitted, though no gateway was tried."""

limits = st.sampled_from([None, None, 1, 2, 4])
terms = st.fixed_dictionaries({}, optional={"max_concurrent": limits, "max_cps": limits})
vendor_terms = st.fixed_dictionaries(
    {},
    optional={
        "max_concurrent": limits,
        "max_cps": limits,
        "priority": st.integers(1, 2),
        "weight": st.sampled_from([0, 1, 3]),
        "enabled": st.booleans(),
        "failover_after_ringing": st.booleans(),
    },
)
contents = st.fixed_dictionaries(
    {
        "acme": terms,
        "bingo": st.none() | terms,
        "account": terms,
        "phone": terms,
        "vendors": st.tuples(vendor_terms, st.none() | vendor_terms, st.none() | vendor_terms),
        "carriers": terms,
        "crowd": st.none() | terms,
        "members": st.sets(st.sampled_from(["acme", "vendor-0", "vendor-1", "vendor-2"])),
        "line": limits,
        "callers": st.none() | st.just(CallerLimits(concurrent_limit=3, frequency_limit=10)),
    }
)
SCRIPTS: Final = {
    "answers": answers(),
    "answers at once": Script((Line(0, 200, ANSWER),)),
    "answers and hangs up": answers(hang_up_after_ms=3_000),
    "answers when given up": Script((Line(0, 180), Line(1_000, 200, ANSWER)), accepts_cancel=False),
    "is busy": refuses(486, after_ms=100),
    "fails": refuses(503),
    "wants a pause": refuses(503, headers=("Retry-After: 20",)),
    "redirects": refuses(302, headers=(f"Contact: <sip:442012@{VENDORS[2]}>", f"Contact: <sip:442011@{VENDORS[1]}>")),
    "rings": RINGS,
    "tries": TRIES,
    "silent": SILENT,
}
INTENTS: Final = {
    "plain": Intent(),
    "never acknowledges": Intent(acknowledges=False),
    "gives up": Intent(cancel_after_ms=700),
    "gives up at once": Intent(cancel_after_ms=3),
    "goes on": Intent(hang_up_after_ms=30_000),
    "hangs up soon": Intent(hang_up_after_ms=40),
}
calls = st.tuples(
    st.sampled_from([0, 0, 1]),
    st.sampled_from(NUMBERS),
    st.sampled_from(sorted(INTENTS)),
    st.tuples(*[st.sampled_from(sorted(SCRIPTS))] * 4),
)
values = {
    Setting.BLOCKED: st.just(""),
    Setting.CLOSED: st.just(""),
    Setting.PRIORITY: st.sampled_from(["1", "2", "3"]),
    Setting.WEIGHT: st.sampled_from(["0", "2"]),
    Setting.MAX_CONCURRENT: st.sampled_from(["1", "2", "none"]),
    Setting.MAX_CPS: st.sampled_from(["1", "none"]),
    Setting.OVERDRAFT_LIMIT: st.sampled_from(["0.00", "unlimited", "50.00"]),
}
SCOPES: Final = {
    Target.ACCOUNT: LimitScope.ACCOUNT,
    Target.MAPPING: LimitScope.MAPPING,
    Target.ROUTING: LimitScope.ROUTING,
}


def names_of(limits):
    """Return the names of limits in their scopes, in order."""
    return [(each.scope, each.name) for each in limits]


def content_of(drawn: dict[str, Any]):
    """Make a catalogue of what was drawn."""
    follows = CalleeDialect(redirects=Redirects.FOLLOW)
    vendors = [
        vendor_gateway(
            index,
            **{"priority": 1, "dialect": follows, "response_timeout_ms": 2_000, "ring_timeout_ms": 9_000, **terms},
        )
        for index, terms in enumerate(drawn["vendors"])
        if terms is not None
    ]
    members = frozenset(drawn["members"] & {"acme", *(each.name for each in vendors)})
    crowd = (
        [] if drawn["crowd"] is None or not members else [GatewayGroup("crowd", members - {"acme"}, **drawn["crowd"])]
    )
    own = mapping_gateway("acme", f"{CUSTOMER.host}/32", dynamic_blacklist=drawn["callers"],
                          groups=frozenset({"crowd"}) if crowd and "acme" in members else frozenset(),
                          **drawn["acme"])  # fmt: skip
    customers = [own]
    if drawn["bingo"] is not None:
        customers.append(mapping_gateway("bingo", f"{OTHER_CUSTOMER.host}/32", routing_plan="own", **drawn["bingo"]))
    sell = rate_group("sell", *(applied_rate(prefix=prefix) for prefix in ("44", "1001")))
    telephone = phone("1001", **drawn["phone"])
    vendors_account = account(
        "carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=None, **drawn["carriers"]
    )
    accounts = [account("acme", **drawn["account"]), vendors_account]
    rows = (each for each in ROUTES if each.gateway in {v.name for v in vendors})
    limited = (msgspec.structs.replace(each, max_calls=drawn["line"]) if each.priority else each for each in rows)
    return catalogue(
        [*customers, *vendors], phones=[telephone], accounts=accounts, rate_groups=[sell], groups=crowd,
        plans=[RoutingPlan("own", routes=tuple(limited))],
    )  # fmt: skip


class LiveStateRecount(RuleBasedStateMachine):
    """One switch, its parties, and what operators do."""

    @initialize(
        drawn=contents,
        balance=st.sampled_from(["100", "100", "3"]),
        lateness_ms=st.sampled_from([0, 0, 7, 1_500]),
        loss=st.sampled_from([0, 0, 0.1]),
    )
    def begin(self, drawn, balance, lateness_ms, loss):
        self.asker = ScriptedAsker(self.answer_at_once)
        first = content_of({**drawn, "bingo": drawn["bingo"] or {}})
        self.exchange = Exchange(
            first,
            balances={"acme": balance, "bingo": "50"},
            lateness_ms=lateness_ms,
            steps=steps_with(looking_up()),
            asker=self.asker,
        )
        self.wire = self.exchange.wire
        self.customers = [self.exchange.caller(address) for address in (CUSTOMER, OTHER_CUSTOMER)]
        self.telephone = self.exchange.telephone("1001", TELEPHONE)
        self.vendors = [self.exchange.vendor(address) for address in VENDORS]
        self.telephone.register()
        self.wire.delays = Storm(1, loss=loss, jitter_ms=20) if loss else self.wire.delays
        self.overrides = {}
        self.has_removed_gateways = False
        self.calls = []
        self.attempts: dict[bytes, int] = {}
        """When each INVITE to a vendor was first sent."""
        self.packets_seen = 0
        self.log = structlog.testing.capture_logs()
        self.lines = self.log.__enter__()

    def answer_at_once(self, _ticket, question):
        return None if question.number == "442019" else Located(question.number)

    # -- calls --------------------------------------------------------------------------------------------------

    @rule(made=st.lists(calls, min_size=1, max_size=5), ms=st.sampled_from([0, 5, 400]))
    def calls_come(self, made, ms):
        parties = (*self.vendors, self.telephone)
        for who, number, intent, behaviours in made:
            for party, behaviour in zip(parties, behaviours, strict=True):
                party.script = SCRIPTS[behaviour]
            self.calls.append(self.customers[who].call(number, INTENTS[intent]))
            self.wire.run_for(5)
        self.wire.run_for(ms)

    @rule(made=st.lists(calls, min_size=3, max_size=5))
    def many_calls_come(self, made):
        self.calls_come(made, 5)

    @rule(number=st.sampled_from(NUMBERS))
    def the_phone_calls(self, number):
        self.calls.append(self.telephone.call(number))
        self.wire.run_for(50)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def a_caller_ends_its_call(self, data):
        call = data.draw(st.sampled_from(self.calls))
        if call.final is None:
            call.cancel()
        elif call.final == 200 and not call.is_over:
            call.hang_up()
        self.wire.run_for(5)

    @rule(data=st.data())
    def a_callee_acts(self, data):
        there = [call for party in (*self.vendors, self.telephone) for call in party.calls if not call.is_over]
        if there:
            call = data.draw(st.sampled_from(there))
            if call.final is None:
                call.respond(Line(0, data.draw(st.sampled_from([180, 200, 404, 486, 503])), ANSWER))
            elif call.final == 200:
                call.hang_up()
            self.wire.run_for(5)

    @precondition(lambda self: any(call.final == 200 for call in self.calls))
    @rule(data=st.data(), number=st.sampled_from(NUMBERS))
    def a_caller_transfers(self, data, number):
        call = data.draw(st.sampled_from([call for call in self.calls if call.final == 200]))
        if not call.is_over and not call.asking:
            call.ask("REFER", headers=[f"Refer-To: <sip:{number}@{SWITCH.host}>"])
            self.wire.run_for(50)

    @precondition(lambda self: self.asker.asked)
    @rule(data=st.data(), answer=st.sampled_from([Located("442011"), Located(""), Unfit()]))
    def a_question_is_answered(self, data, answer):
        asked = data.draw(st.sampled_from(self.asker.asked))
        self.exchange.take_answer(asked.ticket, answer)
        self.wire.run_for(5)

    @rule(ms=st.sampled_from([1, 30, 990, 990, 2_500, 12_000, 70_000]))
    def time_passes(self, ms):
        self.wire.run_for(ms)

    # -- operators ----------------------------------------------------------------------------------------------

    @rule(drawn=contents)
    def the_configuration_is_loaded(self, drawn):
        content = content_of(drawn)
        self.has_removed_gateways |= None in drawn["vendors"]
        self.exchange.swap_catalogue(content)
        self.put_overrides_in_force()

    @rule(data=st.data(), kind=st.sampled_from([Target.ROUTING, Target.ROUTING, Target.MAPPING, Target.ACCOUNT]))
    def something_is_overridden(self, data, kind):
        name = data.draw(st.sampled_from(NAMES[SCOPES[kind]]))
        setting = data.draw(st.sampled_from(sorted(SETTINGS[kind], key=lambda each: each.value)))
        made = override(kind, name, setting, data.draw(values[setting]))
        self.overrides[made.key] = made
        self.put_overrides_in_force()

    @precondition(lambda self: self.overrides)
    @rule(data=st.data())
    def an_override_ends(self, data):
        for key in data.draw(st.sets(st.sampled_from(list(self.overrides)), min_size=1)):
            del self.overrides[key]
        self.put_overrides_in_force()

    def put_overrides_in_force(self):
        self.exchange.override(*self.overrides.values())

    @precondition(lambda self: self.exchange.switch.has_calls)
    @rule(data=st.data())
    def an_operator_ends_a_call(self, data):
        live = data.draw(st.sampled_from(range(len(self.exchange.switch.calls()))))
        switch = self.exchange.switch
        switch.end_calls([switch.calls()[live]], EndReason.ADMINISTRATIVE, self.exchange.clock.now())
        self.exchange.flush()

    @rule(amount=st.sampled_from(["0.5", "20"]))
    def a_payment_arrives(self, amount):
        credit = self.exchange.credits["acme"]
        credit.committed(credit.balance + Decimal(amount), credit.seq + 1)

    @rule(is_full=st.booleans())
    def the_disk_fills_or_empties(self, is_full):
        self.exchange.sink.refuses_calls = is_full

    # -- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def places_are_those_of_the_live_calls(self):
        expected: Counter[tuple[LimitScope, str]] = Counter()
        for live in self.exchange.switch.calls():
            request, callee = live.call_request, live.call.callee
            expected[LimitScope.MAPPING, request.mapping.name] += 1
            expected[LimitScope.ACCOUNT, request.account.id] += 1
            if callee is not None:
                expected[callee.choice.gateway.scope, callee.choice.gateway.name] += 1
                expected.update((limit.scope, limit.name) for limit in callee.choice.limits)
                in_force = self.exchange.switch.catalogue.routing_gateways.get(callee.choice.gateway.name)
                if in_force is not None:
                    lines = tuple(each for each in callee.choice.limits if each.scope is LimitScope.ROUTE)
                    assert names_of(callee.choice.limits) == names_of((*in_force.shared_limits, *lines))
            customer = self.exchange.switch.catalogue.mapping_gateways.get(request.mapping.name)
            if customer is not None:
                expected.update((limit.scope, limit.name) for limit in customer.shared_limits)
            else:
                held = (each for each in request.taken if isinstance(each, PlaceTaken))
                expected.update((each.scope, each.name) for each in held if each.scope is LimitScope.GROUP)
        occupancy = self.exchange.switch.live.occupancy
        assert {key: occupancy.active(*key) for key in expected} == expected
        assert occupancy.total() == expected.total()

    @invariant()
    def holds_are_those_of_the_live_calls(self):
        expected: dict[str, list[Decimal]] = {}
        for live in self.exchange.switch.calls():
            if live.call_request.hold is not None:
                for hold in live.call_request.hold.holds:
                    assert hold.is_open
                    expected.setdefault(hold.credit.account, []).append(hold.amount)
        for name, credit in self.exchange.credits.items():
            assert (credit.reserved, len(credit._holds)) == (sum(expected.get(name, [])), len(expected.get(name, [])))

    @invariant()
    def callers_are_counted_for_their_live_calls(self):
        expected: Counter[tuple[str, str]] = Counter()
        for live in self.exchange.switch.calls():
            if live.call_request.mapping.dynamic_blacklist is not None:
                expected[live.call_request.mapping.name, live.call_request.caller_in] += 1
        lists = self.exchange.switch.live.dynamic_lists
        assert lists.total() == expected.total()
        assert {key: lists.active(*key) for key in expected} == expected

    @invariant()
    def gateways_rest_as_their_addresses_do(self):
        breakers = self.exchange.switch.live.breakers
        resting = Counter(place.gateway for place, row in breakers.failing.items() if row.rest_ms)
        assert breakers.resting == resting

    @invariant()
    def each_admitted_call_is_in_the_window_of_its_customer(self):
        now = self.exchange.clock.now()
        recent: Counter[tuple[LimitScope, str]] = Counter()
        for live in self.exchange.switch.calls():
            if now.mono - live.call.arrival.at.mono < WINDOW_MS:
                recent[LimitScope.MAPPING, live.call_request.mapping.name] += 1
                recent[LimitScope.ACCOUNT, live.call_request.account.id] += 1
        for record in self.exchange.sink.records:
            is_refused = record.hangup_source == "switch" and not record.attempts
            is_recent = now.wall - record.started_at < WINDOW_MS
            if is_recent and (not is_refused or record.end_reason in REFUSED_LATE):
                recent[LimitScope.MAPPING, record.mapping_gateway] += 1
                recent[LimitScope.ACCOUNT, record.customer_account] += 1
        occupancy = self.exchange.switch.live.occupancy
        for key in (
            (LimitScope.MAPPING, "acme"),
            (LimitScope.MAPPING, "bingo"),
            (LimitScope.ACCOUNT, "acme"),
            (LimitScope.ACCOUNT, "bingo"),
        ):
            assert (key, occupancy.recent(*key, now.mono)) == (key, recent[key])

    @invariant()
    def each_attempt_is_in_the_window_of_its_gateway(self):
        """Where a redirect leads is not known here, so the gateways are counted together."""
        for packet in self.wire.packets[self.packets_seen :]:
            if packet.source == SWITCH and packet.target in VENDORS and packet.data.startswith(b"INVITE "):
                lines = packet.data.partition(b"\r\n\r\n")[0].split(b"\r\n")
                begins_a_call = not any(line.startswith(b"To: ") and b";tag=" in line for line in lines)
                if begins_a_call:
                    via = next(line for line in lines if line.startswith(b"Via: "))
                    self.attempts.setdefault(via, packet.sent_at)
        self.packets_seen = len(self.wire.packets)
        now = self.exchange.clock.now().mono
        occupancy = self.exchange.switch.live.occupancy
        recent = sum(occupancy.recent(LimitScope.ROUTING, name, now) for name in NAMES[LimitScope.ROUTING])
        assert recent == sum(now - begun < WINDOW_MS for begun in self.attempts.values())

    @invariant()
    def each_turn_is_paid_by_the_gateways_that_share_the_calls(self):
        """A turn takes from one gateway what it gives to all, until a reload removes one with what it has."""
        if not self.has_removed_gateways:
            turns = self.exchange.switch.live.turns
            assert [credits for credits in turns._credits.values() if sum(credits.values())] == []

    @invariant()
    def no_error_was_swallowed(self):
        assert [line for line in self.lines if line["event"] in ERRORS] == []

    def teardown(self):
        if not hasattr(self, "exchange"):
            return
        try:
            for _ in range(2):  # INVITEs that were lost come again meanwhile
                self.exchange.end_all(EndReason.SHUTDOWN)
                self.wire.run_for(40_000)
            self.no_error_was_swallowed()
            residue = self.exchange.residue()
            residue.pop("blacklisted", None)  # callers stay on the list for an hour
            assert residue == {}
            assert self.exchange.switch.live.dynamic_lists.total() == 0
            assert not any(credit._holds for credit in self.exchange.credits.values())
        finally:
            self.log.__exit__(None, None, None)


TestLiveStateRecount = LiveStateRecount.TestCase
TestLiveStateRecount.settings = settings(
    max_examples=examples(24, 120),
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
