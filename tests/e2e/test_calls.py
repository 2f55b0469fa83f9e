"""Calls from INVITE to CDR, SIPp on both sides: the table of scenarios and what each must leave behind."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from vosd.obs.events import Event

from .addresses import NETWORK, VENDORS
from .expectations import Expected, answered, check
from .stage import Caller, Stage, Vendor

pytestmark = pytest.mark.sipp


@dataclass(frozen=True)
class Scene:
    """One scenario: who plays what, and what the CDR must hold."""

    title: str
    caller: Caller
    prefix: str
    vendors: Sequence[Vendor]
    expected: Expected


def refused(status: int, cause: str, reason: str, customer: str = "acme") -> Caller:
    """Describe a caller that is refused with ``status`` and told why."""
    return Caller("is_refused", {"status": str(status), "cause": cause, "reason": reason}, customer)


CANCELLED = {"status": "487", "cause": "16", "reason": "Cancelled"}
REFUSES_487 = {"status": "487"}


def refusing(gateway: str, status: int, header: str = "X-Vendor: vendor-specific") -> Vendor:
    """Describe a vendor that refuses with ``status``."""
    return Vendor(gateway, "refuses", {"status": str(status), "header": header})


ANSWERED = [
    Scene("the caller hangs up", Caller("hangs_up"), "4410", [Vendor("carrier-a", "answers")], answered("carrier-a")),
    Scene(
        "the callee hangs up",
        Caller("is_hung_up_on"),
        "4410",
        [Vendor("carrier-a", "hangs_up")],
        answered("carrier-a", "callee"),
    ),
    Scene(
        "answered without ringing",
        Caller("hangs_up"),
        "4410",
        [Vendor("carrier-a", "answers_without_ringing")],
        answered("carrier-a", rang=False),
    ),
    Scene(
        "the number has a plus", Caller("hangs_up"), "+4410", [Vendor("carrier-a", "answers")], answered("carrier-a")
    ),
    Scene(
        "the vendor makes the offer",
        Caller("asks_for_an_offer"),
        "4410",
        [Vendor("carrier-a", "makes_the_offer")],
        answered("carrier-a", columns={"codec": "PCMA"}),
    ),
    Scene(
        "503 sends the call to the next gateway",
        Caller("hangs_up"),
        "4420",
        [refusing("carrier-b", 503), Vendor("carrier-c", "answers")],
        answered("carrier-c", attempts=(("carrier-b", 503), ("carrier-c", 200))),
    ),
    Scene(
        "a silent gateway sends the call to the next",
        Caller("hangs_up"),
        "4430",
        [Vendor("carrier-silent", "keeps_silent"), Vendor("carrier-c", "answers")],
        answered("carrier-c", attempts=(("carrier-silent", 0), ("carrier-c", 200))),
    ),
]

CHANGES = [
    Scene(
        "the caller holds and resumes",
        Caller("holds_and_resumes"),
        "4410",
        [Vendor("carrier-a", "is_held_and_resumed")],
        answered("carrier-a"),
    ),
    Scene(
        "the callee holds and resumes",
        Caller("is_held_and_resumed"),
        "4410",
        [Vendor("carrier-a", "holds_and_resumes")],
        answered("carrier-a", "callee"),
    ),
    Scene(
        "the caller changes the session by UPDATE",
        Caller("updates"),
        "4410",
        [Vendor("carrier-a", "is_updated")],
        answered("carrier-a"),
    ),
    Scene(
        "the callee changes the session by UPDATE",
        Caller("is_updated"),
        "4410",
        [Vendor("carrier-a", "updates")],
        answered("carrier-a", "callee"),
    ),
    Scene(
        "a re-INVITE without SDP brings an offer of the callee's",
        Caller("asks_for_a_new_offer"),
        "4410",
        [Vendor("carrier-a", "makes_a_new_offer")],
        answered("carrier-a"),
    ),
    Scene(
        "a re-INVITE gets 488 and the call lives on",
        Caller("is_refused_a_change"),
        "4410",
        [Vendor("carrier-a", "refuses_a_change")],
        answered("carrier-a"),
    ),
    Scene(
        "keys pressed reach the other side as INFO",
        Caller("presses_and_hears_keys"),
        "4410",
        [Vendor("carrier-a", "hears_and_presses_keys")],
        answered("carrier-a"),
    ),
    Scene(
        "early media is acknowledged on both legs",
        Caller("acknowledges_early_media", {"customer_header": "Supported: 100rel"}),
        "4410",
        [Vendor("carrier-a", "plays_reliably_then_answers")],
        answered("carrier-a"),
    ),
]

CANCELS = [
    Scene(
        "the caller gives up while it rings",
        Caller("cancels_while_ringing", CANCELLED),
        "4410",
        [Vendor("carrier-a", "rings_until_cancelled", REFUSES_487)],
        Expected("Cancelled", "caller", 487, 16, (("carrier-a", 0),), rang=True),
    ),
    Scene(
        "the caller gives up before the vendor's first word",
        Caller("cancels_at_once", CANCELLED),
        "4410",
        [Vendor("carrier-a", "is_cancelled_before_it_rings", {**REFUSES_487, "ring_ms": "300"})],
        Expected("Cancelled", "caller", 487, 16, (("carrier-a", 0),)),
    ),
    Scene(
        "the vendor answers what was given up",
        Caller("cancels_at_once", CANCELLED),
        "4410",
        [Vendor("carrier-a", "answers_a_cancelled_call", {"ring_ms": "300"})],
        Expected("Cancelled", "caller", 487, 16, (("carrier-a", 0),)),
    ),
]

FAILURES = [
    Scene(
        "busy",
        refused(486, "17", "Busy"),
        "4410",
        [refusing("carrier-a", 486)],
        Expected("Busy", "callee", 486, 17, (("carrier-a", 486),)),
    ),
    Scene(
        "busy is final although another gateway is left",
        refused(486, "17", "Busy"),
        "4420",
        [refusing("carrier-b", 486)],
        Expected("Busy", "callee", 486, 17, (("carrier-b", 486),)),
    ),
    Scene(
        "declined",
        refused(603, "21", "Rejected"),
        "4410",
        [refusing("carrier-a", 603)],
        Expected("Rejected", "callee", 603, 21, (("carrier-a", 603),)),
    ),
    Scene(
        "the vendor does not know the number",
        refused(404, "1", "Not Found"),
        "4410",
        [refusing("carrier-a", 404)],
        Expected("Not Found", "callee", 404, 1, (("carrier-a", 404),)),
    ),
    Scene(
        "not found counts for more than unavailable",
        refused(404, "1", "Not Found"),
        "4420",
        [refusing("carrier-b", 404), refusing("carrier-c", 503)],
        Expected("Not Found", "callee", 404, 1, (("carrier-b", 404), ("carrier-c", 503))),
    ),
    *(
        Scene(
            f"a vendor's {status} becomes 503",
            refused(503, "[0-9]+", "Unavailable"),
            "4410",
            [refusing("carrier-a", status, header)],
            Expected("Unavailable", "callee", 503, 41, (("carrier-a", status),)),
        )
        for status, header in (
            (401, 'WWW-Authenticate: Digest realm="vendor-realm", nonce="n"'),
            (402, "X-Vendor: vendor-specific"),
            (407, 'Proxy-Authenticate: Digest realm="vendor-realm", nonce="n"'),
        )
    ),
    Scene(
        "a redirection is not followed and its contact not told",
        refused(480, "[0-9]+", "Unavailable"),
        "4410",
        [refusing("carrier-a", 302, f"Contact: <sip:elsewhere@{NETWORK}.29:5060>")],
        Expected("Unavailable", "callee", 480, 18, (("carrier-a", 302),)),
    ),
    Scene(
        "no answer while it rings",
        refused(480, "19", "No Answer"),
        "4440",
        [Vendor("carrier-rings", "rings_until_cancelled", REFUSES_487)],
        Expected("No Answer", "switch", 480, 19, (("carrier-rings", 0),), rang=True),
    ),
    Scene(
        "the only gateway is silent",
        refused(408, "102", "No Answer"),
        "4431",
        [Vendor("carrier-silent", "keeps_silent")],
        Expected("No Answer", "switch", 408, 102, (("carrier-silent", 0),)),
    ),
]

REFUSALS = [
    Scene(
        "no prefix fits",
        refused(404, "3", "No Available Route"),
        "4490",
        [],
        Expected("No Available Route", "switch", 404, 3),
    ),
    Scene(
        "the number has no rate",
        refused(403, "21", "No Matching Rate"),
        "5510",
        [],
        Expected("No Matching Rate", "switch", 403, 21, rated=False),
    ),
    Scene(
        "the prefix is locked",
        refused(403, "21", "No Matching Rate"),
        "4417",
        [],
        Expected("No Matching Rate", "switch", 403, 21, rated=False),
    ),
    Scene(
        "the account has nothing",
        refused(402, "21", "Insufficient Balance", customer="poor"),
        "4410",
        [],
        Expected("Insufficient Balance", "switch", 402, 21, customer="poor"),
    ),
]


@pytest.mark.parametrize("scene", ANSWERED + CHANGES + CANCELS + FAILURES + REFUSALS, ids=lambda scene: scene.title)
def test_a_call_is_carried_billed_and_booked_as_its_scenario_says(stage: Stage, scene: Scene) -> None:
    with stage.expecting(*scene.expected.alarms):
        record = stage.call(scene.caller, scene.prefix, scene.vendors)

    with stage.explaining(record):
        check(record, scene.expected)


def test_a_call_is_charged_for_its_section_and_the_connection(stage: Stage) -> None:
    record = stage.call(Caller("hangs_up"), "4416", [Vendor("carrier-a", "answers")])

    steps = {step["step"]: step for step in record["fee_breakdown"]["customer"]}
    assert (steps["rate"]["sections"], steps["connection_fee"]["raw"]) == ("0.08@60;0.12@120", "0.02")
    assert (record["fee"], record["tax"]) == ("0.10", "0.01"), "capped by the section of a minute"
    assert record["billed_seconds"] == record["hold_time_s"]


def test_a_gateway_that_asked_for_a_rest_gets_one_and_the_caller_hears_nothing_of_it(stage: Stage) -> None:
    tired, other = refusing("carrier-tired", 503, "Retry-After: 600"), refusing("carrier-c", 500)
    caller = refused(500, "41", "Unavailable")

    with stage.expecting(Event.GATEWAY_RESTING):
        both = stage.call(caller, "4435", [tired, other])
    check(both, Expected("Unavailable", "callee", 500, 41, (("carrier-tired", 503), ("carrier-c", 500))))
    rested = stage.call(caller, "4435", [other])
    check(rested, Expected("Unavailable", "callee", 500, 41, (("carrier-c", 500),)))


def test_a_redirection_is_followed_where_the_trunk_allows_it_and_the_caller_hears_nothing_of_it(stage: Stage) -> None:
    target = VENDORS["carrier-a"]
    redirecting = refusing("carrier-elsewhere", 302, f"Contact: <sip:{target}>")

    record = stage.call(Caller("hangs_up"), "4480", [redirecting, Vendor("carrier-a", "answers")])

    assert (record["end_reason"], record["sip_code"]) == ("Normal", 200)
    assert [(attempt["gateway"], attempt["code"]) for attempt in record["attempts"]] == [
        ("carrier-elsewhere", 302),
        ("carrier-elsewhere", 200),
    ]
    assert record["routing_gateway"] == "carrier-elsewhere"
    assert record["destination_address"] == str(target)


def test_each_attempt_with_early_media_has_a_to_tag_of_its_own(stage: Stage) -> None:
    callee = stage.number("4420")
    source = stage.endpoint_of("acme")
    first = Vendor("carrier-b", "plays_then_refuses", {"status": "503"})
    second = Vendor("carrier-c", "plays_then_answers")
    with (
        stage.vendor(first, callee) as carrier_b,
        stage.vendor(second, callee) as carrier_c,
        stage.caller(Caller("hears_early_media_twice"), callee, source) as caller,
    ):
        for party in (caller, carrier_b, carrier_c):
            party.wait()
        one, other, final = caller.logs.read_text().split()
    stage.expect_nothing_left()

    assert one != other
    assert other == final
    check(stage.record_of(callee), answered("carrier-c", attempts=(("carrier-b", 503), ("carrier-c", 200))))


def test_an_operator_calls_a_vendor_without_a_customer(stage: Stage) -> None:
    callee = stage.number("4410")
    order = ("call", "test", "--via", "carrier-a", "--callee", f"{callee[:2]}-{callee[2:]}")
    with stage.vendor(Vendor("carrier-a", "answers_anyone"), callee) as vendor:
        report = stage.daemon.ask(*order, "--seconds", "1")
        vendor.wait()
    assert (report["result"], report["code"], report["callee_out"]) == ("answered", 200, callee)
    assert [step["what"] for step in report["steps"]][-2:] == ["ACK", "BYE"]
    record = stage.record_of(callee)
    assert (record["customer_account"], record["vendor_account"], record["cost"]) == (None, "vendors", report["cost"])
    unreached = stage.daemon.verb("call", "test", "--via", "carrier-silent", "--callee", callee)
    assert (unreached.code, "unreachable" in unreached.stdout) == (1, True)
    unknown = stage.daemon.verb("call", "test", "--via", "carier-a", "--callee", callee)
    assert (unknown.code, "carier-a" in unknown.stderr) == (1, True)
    stage.expect_nothing_left()
    stage.expect_clean_log()
