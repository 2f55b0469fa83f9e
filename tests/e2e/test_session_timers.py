"""Session timers on the wire: recommended profiles, 422 both ways, refreshes, dead peers, and peers without.

What each profile asks for, and how long calls last by it, is shown on virtual time
(`golden/test_vectors_session_timers.py`); here each offer of a caller has one, and one refresh is waited for, the
earliest that there is: 90 s in ten parts.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer

from vosd.obs.events import Event

from .addresses import CUSTOMERS, TIMED_SWITCH, VENDORS
from .stage import Caller, Stage, Vendor, configuration

FIRST_PORT = 15_801


@dataclass(frozen=True)
class Profile:
    """What both trunks of one profile say of timers, in the words of the configuration."""

    title: str
    terms: str
    ttl_s: int

    def __str__(self) -> str:
        return self.title


PROFILES = [
    Profile("defaults", "{}", 600),
    Profile("wholesale", "{ttl: 600, segment: 2, no_timer_limit: 0}", 600),
    Profile("call centre", "{ttl: 900, segment: 3, no_timer_limit: 14400}", 900),
    Profile("mobile", "{ttl: 300, segment: 2, no_timer_limit: 3600}", 300),
]
HURRIED = Profile("hurried", "{ttl: 90, segment: 10, no_timer_limit: 1}", 90)
FORSAKEN = Profile("forsaken", "{ttl: 90, segment: 10, early_hangup: 81}", 90)
"""Given up at the earliest that there is: when the first refresh is due."""
ALL = [*PROFILES, HURRIED, FORSAKEN]


OFFERS = {"": "uas", "{ttl};refresher=uac": "uac", "{ttl}": "uas", "{ttl};refresher=uas": "uas"}
"""What callers say of their sessions, and who refreshes then."""


def prefix_of(profile: Profile) -> str:
    return f"44{60 + ALL.index(profile)}"


def source_of(profile: Profile) -> Endpoint:
    return Endpoint(CUSTOMERS["acme"], FIRST_PORT + ALL.index(profile))


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Give a switch with a trunk on either side for each profile."""
    customers = "".join(
        f"  - {{name: {profile.title}, template: customer, hosts: '{source_of(profile)}', "
        f"session_timer: {profile.terms}}}\n"
        for profile in ALL
    )
    vendors = "".join(
        f"  - {{name: {profile.title}, template: vendor, prefixes: '{prefix_of(profile)}', "
        f"session_timer: {profile.terms}}}\n"
        for profile in ALL
    )
    text = configuration("timers.yaml", TIMED_SWITCH).replace("$customers", customers).replace("$vendors", vendors)
    with Daemon(tmp_path_factory.mktemp("timed"), text) as daemon:
        stage = Stage(daemon, TIMED_SWITCH, Event.SESSION_REFRESH_FAILED)
        yield stage
        stage.expect_timers_run_out()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


def caller_with_timer(expires: str, scenario: str, offer: str = "") -> Caller:
    header = "Supported: timer" + (f"\n      Session-Expires: {offer}" if offer else "")
    return Caller(scenario, {"customer_header": header, "expires": expires})


@pytest.mark.sipp
@pytest.mark.parametrize(("profile", "offer"), list(zip(PROFILES, cycle(OFFERS), strict=False)), ids=str)
def test_both_sides_are_asked_for_the_interval_of_the_profile(timed: Stage, profile: Profile, offer: str) -> None:
    ttl, refresher = str(profile.ttl_s), OFFERS[offer]
    caller = caller_with_timer(f"{ttl};refresher={refresher}", "has_a_session_timer", offer.replace("{ttl}", ttl))
    callee = timed.number(prefix_of(profile))
    with ExitStack() as on_stage:
        vendor = Vendor("carrier-a", "has_a_session_timer", {"expires": f"{ttl};refresher=uac"})
        vendor_runs = on_stage.enter_context(timed.vendor(vendor, callee))
        caller_runs = on_stage.enter_context(timed.caller(caller, callee, source_of(profile)))
        caller_runs.wait()
        vendor_runs.wait()
    timed.expect_nothing_left()
    record = timed.record_of(callee)
    assert (record["end_reason"], record["hangup_source"]) == ("Normal", "caller")


@pytest.mark.sipp
def test_sessions_are_refreshed_by_update_and_by_the_very_same_offer(timed: Stage) -> None:
    callee = timed.number(prefix_of(HURRIED))
    with ExitStack() as on_stage:
        vendor = Vendor("carrier-a", "is_refreshed", {"expires": "90;refresher=uac"})
        vendor_runs = on_stage.enter_context(timed.vendor(vendor, callee))
        caller = caller_with_timer("90;refresher=uac", "is_refreshed")
        caller_runs = on_stage.enter_context(timed.caller(caller, callee, source_of(HURRIED)))
        caller_runs.wait()
        vendor_runs.wait()
    timed.expect_nothing_left()
    record = timed.record_of(callee)
    assert (record["end_reason"], record["hangup_source"]) == ("Normal", "caller")
    assert record["hold_time_ms"] >= 9_000


def test_an_interval_that_is_too_small_is_422(timed: Stage) -> None:
    with Peer(source_of(PROFILES[0])) as customer:
        call = OutgoingCall(customer, timed.address, timed.number(prefix_of(PROFILES[0])))
        call.invite(["Supported: timer", "Session-Expires: 60"])
        refusal = call.refused()
    assert (refusal.status, refusal["Min-SE"]) == (422, "90")


def test_a_vendor_that_wants_a_longer_interval_is_asked_again(timed: Stage) -> None:
    with Peer(source_of(PROFILES[0])) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(customer, timed.address, timed.number(prefix_of(PROFILES[0])))
        call.invite()
        first = vendor.expect("INVITE")
        vendor.reply(first, 422, tag="first", headers=["Min-SE: 1200"])
        second = vendor.expect("INVITE", passing=["ACK"])
        assert (second["CSeq"], second["Call-ID"]) == ("2 INVITE", first["Call-ID"])
        assert (second["Session-Expires"], second["Min-SE"]) == ("1200;refresher=uac", "1200")
        vendor.reply(second, 200, tag="second", body=ANSWER, headers=["Session-Expires: 1200;refresher=uac"])
        call.answered()
        vendor.expect("ACK")
        assert call.hang_up().status == 200
        vendor.reply(vendor.expect("BYE"), 200)
    timed.expect_nothing_left()
    record = timed.record_of(call.callee)
    assert [(attempt["gateway"], attempt["code"]) for attempt in record["attempts"]] == [("defaults", 200)]


def test_a_peer_without_timer_may_talk_for_so_long(timed: Stage) -> None:
    with Peer(source_of(HURRIED)) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(customer, timed.address, timed.number(prefix_of(HURRIED)))
        call.invite()
        vendor.reply(vendor.expect("INVITE"), 200, tag="there", body=ANSWER)
        call.answered()
        vendor.expect("ACK")
        customer.reply(customer.expect("BYE"), 200)
        vendor.reply(vendor.expect("BYE"), 200)
    timed.expect_nothing_left()
    record = timed.record_of(call.callee)
    assert (record["end_reason"], record["hold_time_ms"]) == ("Maximum Duration", 1_000)


def test_a_dead_peer_ends_the_call_on_both_sides(timed: Stage) -> None:
    with Peer(source_of(FORSAKEN)) as customer, Peer(VENDORS["carrier-a"]) as vendor:
        call = OutgoingCall(customer, timed.address, timed.number(prefix_of(FORSAKEN)))
        call.invite(["Supported: timer"])
        invite = vendor.expect("INVITE")
        vendor.reply(invite, 200, tag="there", body=ANSWER, headers=["Session-Expires: 90;refresher=uac"])
        call.answered()
        vendor.expect("ACK")
        bye = customer.expect("BYE", within_s=60, passing=["INVITE"])  # no Allow of it names UPDATE
        customer.reply(bye, 200)
        vendor.reply(vendor.expect("BYE", passing=["INVITE"]), 200)
        assert 'text="Session Timeout"' in bye["Reason"]
    timed.expect_nothing_left()
    record = timed.record_of(call.callee)
    assert (record["end_reason"], record["hold_time_ms"]) == ("Session Timeout", 9_000)
    breakdown = record["fee_breakdown"]
    said = json.loads(breakdown) if isinstance(breakdown, str) else breakdown
    assert said["dead_call_billing"] == "detection"
    failed = [line for line in timed.daemon.log() if line.get("event") == "session_refresh_failed"]
    assert {line["gateway"] for line in failed} == {"forsaken"}
    assert "detection" in timed.daemon.succeed("cdr", "show", record["call_id"])
