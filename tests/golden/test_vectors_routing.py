"""The worked examples of tests/vectors/routing.json, each through the functions that route real calls."""

import json
from decimal import Decimal

import pytest
from doubles.data.builders import account, applied_rate, catalogue, phone, routing_gateway
from doubles.data.registering import register_request
from doubles.priced_vendors import PricedByTerms
from doubles.sockets.login import CHALLENGES, Login
from doubles.sockets.loopback import Endpoint
from doubles.virtual.clock import ManualClock
from doubles.virtual.probe import VENDOR, Keeper, Probe, reply, straight
from doubles.virtual.scene import Scene, vendor_gateway
from doubles.virtual.vendor import answers

from golden.worked import ROUTING, of
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.errors import Refusal
from vosd.billing.holds import AccountCredit
from vosd.catalogue.problems import ConfigError
from vosd.config.keys.parameters import WITHOUT_EFFECT, ParameterKeys
from vosd.config.load import load
from vosd.engine.registration.bindings import RegistrantKind, Registrations
from vosd.net.marking import TrafficClass
from vosd.routing.capacity import Occupancy
from vosd.routing.failover import AttemptOutcome, tries_next, verdict
from vosd.routing.pipeline import RouteRequest, find_routes
from vosd.routing.ports import Full
from vosd.routing.rest import Rests
from vosd.routing.route_table import RouteTable
from vosd.routing.weights import Turns
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.digest.settings import DigestSettings, LockOutSettings
from vosd.sip.events import NoResponse
from vosd.sip.flows import Flows, Listener
from vosd.sip.registration.keepalive import Sweeps
from vosd.sip.settings import RegistrarSettings, SipSettings, Timers
from vosd.sip.wire.outgoing import Peer
from vosd.trunks.scope import LimitScope

START = 1_000_000


class VendorsWithCredits(PricedByTerms):
    """Vendors of a vector: all rated, funded while their credit has something left."""

    unregistered = down = resting = blocked = frozenset()

    def __init__(self, gateways):
        self.turns = Turns()
        self._credits = {
            each["name"]: AccountCredit(
                each["name"], Decimal(0) if each["prepaid_vendor"] else None, Decimal(each["vendor_balance"])
            )
            for each in gateways
        }

    def down_ms(self, gateway, mono_ms):
        return None

    def paused_ms(self, gateway, mono_ms):
        return 0

    def resting_ms(self, gateway, mono_ms, payer=""):
        return 0

    def why_resting(self, gateway, mono_ms, payer=""):
        return "failed"

    def located(self, gateway):
        return True

    def is_barred(self, gateway, callee, wall_ms):
        return False

    def terms(self, gateway, callee, wall_ms, caller):
        return applied_rate()

    def funded(self, gateway, terms):
        available = self._credits[gateway.account].available
        return available is None or available > 0


@of("prefix_match")
def test_longest_prefix_of_a_gateway_fits(given, expect):
    candidates = RouteTable([routing_gateway("carrier", *given["prefixes"])]).candidates(given["called"])
    assert [candidate.prefix for candidate in candidates] == ([expect["matched"]] if expect["matched"] else [])


@of("candidate_order")
def test_candidates_are_ordered_and_sifted(given, expect):
    occupancy = Occupancy()
    for each in given["gateways"]:
        for _ in range(each["calls"]):
            occupancy.take(LimitScope.ROUTING, each["name"], None, None, mono_ms=0)
    table = RouteTable(
        # A gateway that is known to be offline is one that is switched off; health checks come later.
        routing_gateway(
            each["name"],
            each["prefix"],
            priority=each["priority"],
            weight=each["weight"],
            max_concurrent=each["max_calls"],
            enabled=each["online"],
            protect_ms=10_000 if each["protect"] else None,
        )
        for each in given["gateways"]
    )
    request = RouteRequest(callee=given["called"], caller="", at=Instant(60_000, 0))
    routes = find_routes(request, table, occupancy, Rests(), VendorsWithCredits(given["gateways"]))
    if expect["order"]:
        assert not isinstance(routes, Refusal)
        assert [choice.gateway.name for choice in routes] == expect["order"]
    else:
        assert isinstance(routes, Refusal)
        assert (routes.reason, routes.status) == (EndReason.NO_AVAILABLE_ROUTE, 404)


@of("failover_step")
def test_failed_attempts_lead_to_the_next_gateway(given, expect):
    tried, outcomes, final = [], [], None
    for name, answer in zip(given["gateways"], given["replies"], strict=False):
        tried.append(name)
        if answer == 200:
            final = answer
            break
        outcomes.append(AttemptOutcome.silent() if answer == "timeout" else AttemptOutcome.final(answer))
        if not tries_next(routing_gateway(name), outcomes[-1]):
            break
    assert tried == expect["tried"]
    assert (final or verdict(outcomes).status) == expect["final"]


@of("resend_schedule")
@pytest.mark.parametrize("method", ["INVITE", "BYE"])
def test_a_request_is_repeated_at_the_times_of_the_list(method, given, expect):
    """Through an endpoint on virtual time, to a vendor that never says anything."""
    resend_ms = tuple(int(1_000 * Decimal(wait)) for wait in given["SS_SIP_RESEND_INTERVAL"].split(","))
    at_ms = [int(1_000 * at) for at in expect["retransmit_at_s"]]
    sum_ms = int(1_000 * expect["sum_s"])
    owner = Keeper()
    probe = Probe(SipSettings(timers=Timers(resend_ms=resend_ms)))
    transaction = probe.call_vendor(owner)
    if method == "BYE":
        event = probe.receive(reply(probe.log[0], 200), VENDOR)
        dialog = Dialog.of_callee(transaction.parts, "ours", event.response, straight)
        transaction = probe.endpoint.client.send_request(dialog, "BYE", "", b"", owner, probe.now)
    assert probe.advance(sum_ms - 1) == []
    assert probe.advance(1) == [NoResponse(owner, transaction, probe.now)]
    assert probe.times_of(method) == [0, *at_ms]
    assert len(at_ms) == expect["retransmissions"]
    probe.advance(Timers().transaction_ms)
    assert probe.times_of(method) == [0, *at_ms], "nothing comes after the sum"


@of("cps_limit")
def test_calls_above_the_rate_are_refused(given, expect):
    occupancy = Occupancy()
    arrivals = given["arrivals_in_one_second"]
    answers = [
        occupancy.take(LimitScope.MAPPING, "acme", None, given["max_cps"], mono_ms=1000 * each // arrivals)
        for each in range(arrivals)
    ]
    assert answers.count(None) == expect["accepted"]
    assert answers.count(Full.RATE) == expect["refused"]


@of("concurrency_limit")
def test_calls_above_the_concurrency_are_refused(given, expect):
    occupancy = Occupancy()
    for _ in range(given["active"]):
        assert occupancy.take(LimitScope.MAPPING, "acme", None, None, mono_ms=0) is None
    answer = occupancy.take(LimitScope.MAPPING, "acme", given["max_calls"], None, mono_ms=0)
    assert answer is (None if expect["accept"] else Full.CONCURRENCY)
    assert occupancy.active(LimitScope.MAPPING, "acme") == given["active"] + expect["accept"]


@of("qos_dscp")
def test_the_tos_byte_is_a_class_of_traffic(given, expect):
    traffic_class = TrafficClass(int(given["tos_byte"], 16))
    assert (traffic_class.dscp, traffic_class.name) == (expect["dscp"], expect["class"])


def switch_with_a_phone(**parameters):
    """Return a switch with the phone 1001 and a vendor that answers at once, and a client at an unknown address."""
    digest = parameters.pop("digest", DigestSettings())
    content = catalogue(
        [vendor_gateway(0)], phones=[phone("1001", digest=digest)], accounts=[account("acme")], digest=digest,
        **parameters,
    )  # fmt: skip
    scene = Scene(content)
    scene.vendor.script = answers(0)
    scene.wire.delays = lambda _packet: (0,)  # all of an exchange happens at the instant that the vector names
    return scene, scene.exchange.request_client(Endpoint("203.0.113.66", 41_234), wait_ms=0)


@of("auth_lockout")
def test_a_source_that_guesses_too_often_is_not_heard(given, expect):
    lock_out = LockOutSettings(given["SS_AUTHENTICATION_MAX_RETRY"], 1_000 * given["SS_AUTHENTICATION_FAILED_SUSPEND"])
    scene, request_client = switch_with_a_phone(lock_out=lock_out)
    began = scene.exchange.clock.now().mono
    logins = {"good": Login("1001", "secret"), "bad": Login("1001", "guess")}
    responses = []
    for what, at_s in given["events"]:
        scene.wire.run_for(began + 1_000 * at_s - scene.exchange.clock.now().mono)
        response = request_client.ask() if what == "none" else request_client.prove(logins[what])
        responses.append("drop" if response is None else response.status)
    assert responses == expect["responses"]


@of("challenge_code")
def test_unknown_sources_are_challenged_with_the_code_of_the_parameter(given, expect):
    status = ParameterKeys.model_validate(given).challenge_code
    _, request_client = switch_with_a_phone(digest=DigestSettings(status=status))
    response = request_client.ask()
    assert response.status == expect["code"]
    assert [header for header in CHALLENGES if response.every(header)] == [expect["header"]]
    assert request_client.prove(Login("1001", "secret")).status == 200


def keep_alive_of(parameters, directory):
    """Return what the switch sends by a file with these parameters."""
    path = directory / "vosd.yaml"
    path.write_text(json.dumps({"parameters": parameters}))
    return load(path).settings.keep_alive


def parameters_of(given):
    return {name: value for name, value in given.items() if name.startswith("SS_")}


def batches_of(pace, count, *, at_most=1):
    """Let a sweep run on time; return the size of each batch, when the last began, and whether the sweep fits."""
    all_endpoints = [Peer(0, "192.0.2.10", number) for number in range(count)]
    sweeps, now, sizes, reached = Sweeps(pace, lambda: all_endpoints, START), START, {}, 0
    while reached < count * at_most:
        began = START + (now - START) // pace.send_interval_ms * pace.send_interval_ms
        due = len(sweeps.due(now))
        sizes[began - START] = sizes.get(began - START, 0) + due
        reached += due
        overran, now = sweeps.overruns, sweeps.next_due(now)
    return list(sizes.values()), max(sizes), not overran


@of("nat_batches")
def test_endpoints_are_kept_alive_in_batches(given, expect, tmp_path):
    pace = keep_alive_of(parameters_of(given), tmp_path)
    sizes, last, fits = batches_of(pace, given["endpoints"])
    assert (len(sizes), sizes) == (expect["batches"], expect["batch_sizes"])
    assert last == expect["last_batch_starts_ms"]
    assert fits is expect["fits_period"]


@of("nat_per_packet")
def test_the_other_reading_of_the_interval_is_that_of_batches_of_one(given, expect, tmp_path):
    """A wait after each datagram can be configured; the overrun is reported."""
    pace = keep_alive_of(parameters_of(given) | {"SS_SIP_NAT_KEEP_ALIVE_SEND_ONE_TIME": 1}, tmp_path)
    sizes, last, fits = batches_of(pace, given["endpoints"])
    assert set(sizes) == {1}
    assert last + pace.send_interval_ms == 1_000 * expect["sweep_s"]
    assert fits is expect["fits_period"]


@of("nat_enabled")
def test_an_empty_message_sends_no_keep_alives(given, expect, tmp_path):
    message = keep_alive_of(parameters_of(given), tmp_path).message
    assert bool(message) is expect["enabled"]
    assert message.decode() == expect.get("payload", "")


@of("param_range", [each for each in ROUTING if each["given"].get("parameter") not in WITHOUT_EFFECT])
def test_parameters_have_their_ranges(given, expect, tmp_path):
    path = tmp_path / "vosd.yaml"
    for value, accepted in zip(given["values"], expect["accepted"], strict=True):
        path.write_text(json.dumps({"parameters": {given["parameter"]: value}}))
        if accepted:
            load(path)
        else:
            with pytest.raises(ConfigError, match=given["parameter"]):
                load(path)


class Unwritten:
    """Registrations are not stored."""

    def put(self, name, binding, earlier):
        """Take no note of a binding."""


@of("nat_target")
def test_registered_endpoints_are_reached_where_they_are_seen(given, expect):
    public = "203.0.113.1"  # the vector says PublicIP
    flows = Flows((Listener("192.0.2.1", 5060),), str)
    registrations = Registrations(RegistrarSettings(), flows, Unwritten(), ManualClock())
    source = Peer(0, public, given["received_port"])
    wanted = register_request(f"<sip:1001@{given['contact']}>")
    registrations.register("1001", RegistrantKind.PHONE, wanted, source, ManualClock().now())
    kept_alive, hidden, called = registrations.peers(), registrations.hidden_peers(), registrations.addresses("1001")
    assert [str(peer).replace(public, "PublicIP") for peer in kept_alive] == [expect["keepalive_to"]]
    assert hidden == kept_alive
    assert [f"PublicIP:{address.port}" for address in called if address.host == public] == [expect["invite_to"]]
    assert called[0].uri == f"sip:1001@{given['contact']}"
