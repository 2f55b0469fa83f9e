"""The worked examples of session timers, from VOS3000's parameters in a file to the packets of a whole switch."""

import pytest
from doubles.conformance import faults_of
from doubles.virtual.customer import KNOWS_TIMER, KNOWS_UPDATE, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene
from doubles.virtual.vendor import answers, answers_timed

from vosd.config.load import load

from .test_vectors_routing import of

FILE = """\
limits: {{max_call_seconds: 604800}}
parameters: {{{parameters}}}
rate_groups: [{{name: any, rates: [{{prefix: "44", billing_rate: "0.01"}}]}}]
accounts:
  - {{id: acme, rate_group: any, overdraft_limit: unlimited}}
  - {{id: carrier, type: clearing, rate_group: any, overdraft_limit: unlimited}}
mapping_gateways: [{{name: acme, account: acme, hosts: {customer}}}]
routing_gateways: [{{name: carrier, account: carrier, address: {vendor}}}]
"""
KNOWS_ALL = Intent(headers=(*KNOWS_TIMER, *KNOWS_UPDATE))
NEVER = 10**12


@pytest.fixture
def stage(tmp_path):
    """Set the stage by a vector's parameters; packets take no time, so that seconds come out whole."""

    def built(given):
        parameters = ", ".join(f"{name}: {value}" for name, value in given.items() if name.startswith("SS_"))
        path = tmp_path / "vosd.yaml"
        path.write_text(FILE.format(parameters=parameters, customer=CUSTOMER.host, vendor=VENDORS[0]))
        scene = Scene(load(path, {}).catalogue)
        scene.wire.delays = lambda _packet: (0,)
        return scene

    return built


def answered(scene, intent, script):
    """Make a call; return its ends at the moment of the answer."""
    call = scene.begun_call(intent, script=script)
    scene.wire.run_until(lambda: call.acks or call.final == 200)
    return call, scene.vendor.only_call


def seconds(scene, method, address, since):
    """Return when the switch has sent requests of a method there, without repetitions, in seconds since an instant."""
    sent = {}
    for packet in scene.wire.packets:
        if (packet.source, packet.target) == (SWITCH, address) and packet.data.startswith(method.encode() + b" "):
            sent.setdefault(packet.data, (packet.sent_at - since) / 1_000)
    return list(sent.values())


def forsake(*sides):
    for side in sides:
        side.gone = 0


@of("session_refresh")
def test_refreshes_divide_the_interval(stage, given, expect):
    scene = stage(given)
    ends = answered(scene, KNOWS_ALL, answers_timed("600;refresher=uac"))
    since = scene.wire.clock.now().mono
    # The vendor takes any interval; what it says of it is the one that it was asked for.
    interval_s = expect["refresh_interval_s"]
    forsake(*ends)
    scene.wire.run_for(1_000 * interval_s)
    assert seconds(scene, "UPDATE", CUSTOMER, since) == [expect.get("first_refresh_at_s", interval_s)]
    scene.wire.run_until(lambda: scene.exchange.sink.records, within_ms=NEVER)
    if "expires_at_s" in expect:
        assert scene.record.hold_time_ms == 1_000 * expect["expires_at_s"]
    assert scene.record.end_reason == "Session Timeout"
    assert faults_of(scene.wire.packets, SWITCH) == []


@of("session_refresh")
def test_the_profiles_limit_peers_without_timer(stage, given, expect):
    scene = stage(given)
    answered(scene, None, answers())
    limit_s = expect.get("no_timer_limit_s", given["SS_SIP_NO_TIMER_REINVITE_INTERVAL"]) or 604_800
    scene.wire.run_until(lambda: scene.exchange.sink.records, within_ms=NEVER)
    assert (scene.record.hold_time_ms, scene.record.end_reason) == (1_000 * limit_s, "Maximum Duration")


@of("session_timeline")
def test_a_dead_peer_ends_the_call(stage, given, expect):
    scene = stage(given)
    ends = answered(scene, KNOWS_ALL, answers_timed("600;refresher=uac"))
    since = scene.wire.clock.now().mono
    scene.wire.run_for(1_000 * given["peer_silent_after_s"])
    refreshed = [at for at in seconds(scene, "UPDATE", CUSTOMER, since) if at]
    assert refreshed == given["refresh_ok_at_s"] == seconds(scene, "UPDATE", VENDORS[0], since)
    forsake(*ends)
    scene.wire.run_until(lambda: scene.exchange.sink.records, within_ms=NEVER)
    assert (scene.record.end_reason, scene.record.hangup_source) == (expect["end_reason"], "switch")
    assert scene.record.hold_time_ms == 1_000 * expect["hangup_at_s"]
    addresses = {"caller": CUSTOMER, "callee": VENDORS[0]}
    assert expect["bye_to"] == list(addresses)
    for address in addresses.values():
        assert seconds(scene, "BYE", address, since) == [expect["hangup_at_s"]]
    assert scene.exchange.residue() == {}


@of("session_min_se")
def test_an_interval_that_is_too_small_is_refused(stage, given, expect):
    scene = stage(given)
    offered = f"Session-Expires: {given['offered_session_expires']}"
    call = scene.caller.call(CALLEE, KNOWS_ALL._replace(headers=(*KNOWS_ALL.headers, offered)))
    scene.wire.run_until(lambda: call.final)
    if expect["answer_code"] is None:
        assert (call.final, call.response(200)["Session-Expires"]) == (200, "90;refresher=uas")
    else:
        assert (call.final, call.refusal["Min-SE"]) == (expect["answer_code"], str(expect["min_se_header"]))
    assert faults_of(scene.wire.packets, SWITCH) == []


@of("session_effective_ttl")
def test_we_never_ask_for_less_than_we_would_take(stage, given, expect):
    scene = stage(given)
    call, there = answered(scene, KNOWS_ALL, answers_timed("90;refresher=uac"))
    assert call.response(200)["Session-Expires"].partition(";")[0] == str(expect["effective_ttl_s"])
    assert there.invite["Session-Expires"].partition(";")[0] == str(expect["effective_ttl_s"])


@of("no_timer_limit")
@pytest.mark.parametrize("without", ["caller", "callee", "both"])
def test_a_peer_without_timer_may_not_talk_for_ever(stage, given, expect, without):
    scene = stage(given)
    has_timer = given["peer_supports_timer"]
    intent = KNOWS_ALL if has_timer or without == "callee" else None
    script = answers_timed("600;refresher=uac") if has_timer or without == "caller" else answers()
    call, _ = answered(scene, intent, script)
    scene.wire.run_for(1_000 * given["talk_s"])
    if expect["hangup"]:
        assert scene.record.hold_time_ms == 1_000 * expect["max_duration_s"]
        assert (scene.record.end_reason, scene.record.hangup_source) == ("Maximum Duration", "switch")
    else:
        assert scene.exchange.sink.records == []
        scene.hang_up(call, wait_ms=1_000)
        assert scene.record.end_reason == "Normal"
    assert scene.exchange.residue() == {}
