"""``vosd why`` of stored calls, without a daemon."""

import re
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.builders import applied_rate
from doubles.data.records import answered_call, call_id, charge_row, refused_call
from doubles.ended_calls import ended_call
from doubles.installation import Installation
from doubles.migrated import migrated
from msgspec.structs import replace

from vosd.admin.advice import ADVICE, advice
from vosd.base.cause import EndReason
from vosd.billing.holds import FROZEN
from vosd.callcontrol.number_tools import NO_PORTABILITY, NOT_REDIRECTED
from vosd.cdr.record import ANNOUNCEMENT, FORKED, LATE_ANSWER, Attempt, ChargeRow

SINCE = ("--since", "2026-01-01T00:00:00Z")
VERDICTS = '{"plan":"premium","refusal":"","left":[{"routing_gateway":"trunk-9","reason":"capacity: 20 of 20"}]}'
TRIED = (
    Attempt(gateway="trunk-1", code=0, ms=5_000, pdd_ms=None, reason="Unavailable"),
    Attempt(gateway="trunk-2", code=503, ms=5_100, pdd_ms=80, reason="Unavailable"),
)
RUNG = Attempt("trunk-2", 0, 30_000, 80, "No Answer")
SOUND = Attempt(gateway="closed", code=404, ms=900, pdd_ms=None, reason=ANNOUNCEMENT)
BARE = Attempt("trunk-1", 0, 0, None, "No Common Codec", media_fault="not encrypted")
UNSENT = Attempt("trunk-1", 0, 0, None, "No Common Codec")
DOCUMENTS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("why"))
    migrated(installation.database)
    failed = {"end_reason": "Unavailable", "sip_code": 503, "attempts": TRIED, "verdicts": VERDICTS}
    installation.book(
        [
            refused_call(1, callee_in="+4930111", mapping_gateway="pbx", **failed),
            refused_call(2, callee_in="4930112", end_reason="No Available Route", sip_code=404),
            refused_call(3, callee_in="4930113", caller_in="1001\x1b[2J"),
            refused_call(
                5,
                callee_in="4931115",
                mapping_gateway="pbx",
                end_reason="No Common Codec",
                sip_code=488,
                attempts=(UNSENT,),
            ),
            refused_call(6, callee_in="4931116", end_reason="No Answer", sip_code=480, attempts=(RUNG,)),
            ended_call(4, applied_rate("0.60", tax_rate="10"), applied_rate("0.30")),
        ]
    )
    return installation


def test_the_page_begins_with_the_reason_and_what_to_do(site):
    said = site.vosd("why", "--callee", "4930111", *SINCE)
    lines = said.stdout.splitlines()
    assert said.exit_code == 0
    assert lines[0].endswith("1000 -> +4930111  from pbx")
    assert lines[1] == "  Unavailable, 503: Every gateway that was tried failed."
    assert lines[2].startswith("  To do: look at the codes of the attempts below")
    shown = re.sub(" +", " ", said.stdout)
    assert "trunk-1 no response 5000 Unavailable" in shown
    assert "trunk-2 503 5100 80 Unavailable" in shown
    assert "trunk-9 capacity: 20 of 20" in shown
    assert "plan premium" in shown
    assert f"-g '{call_id(1)}|" in said.stdout
    assert "from the database alone" in said.stderr


def test_the_newest_calls_come_first_and_the_others_are_counted(site):
    said = site.vosd("why", "--callee", "49301", "--limit", "2", *SINCE)
    heads = [line for line in said.stdout.splitlines() if " -> " in line]
    assert [head.split(" -> ")[1].split()[0] for head in heads] == ["4930113", "4930112"]
    assert "older calls that fit: 1; say --limit, --until, or more of the call" in said.stderr
    assert "\x1b" not in said.stdout, "what a caller sends does not control the terminal"


def test_an_answered_call_shows_its_charges(site):
    (call,) = site.document("why", "--callee", "44", *SINCE)["calls"]
    said = site.vosd("why", "--callee", call["callee_in"], *SINCE).stdout
    assert "They talked for 61.500 s; ended by: caller." in said
    assert [(each["role"], each["account"]) for each in call["charges"]] == [
        ("customer", "customer-4"),
        ("vendor", "vendor-4"),
    ]
    assert call["charges"][0]["fee"] in said
    assert "To do" not in said


def test_the_document_has_the_same(site):
    page = site.document("why", "--callee", "4930111", *SINCE)
    (call,) = page["calls"]
    assert (page["live"], page["running"], page["more"]) == (False, [], 0)
    assert call["headline"].startswith("Unavailable, 503: ")
    assert [each["gateway"] for each in call["attempts"]] == ["trunk-1", "trunk-2"]
    assert call["left"] == [{"routing_gateway": "trunk-9", "reason": "capacity: 20 of 20"}]
    assert (call["messages"], call["plan"]) == (None, "premium")


def test_the_caller_and_the_span_choose_too(site):
    assert site.document("why", "--callee", "49301", "--caller", "1001", *SINCE)["calls"][0]["call_id"] == call_id(3)
    assert site.document("why", "--callee", "49301", "--until", "2020-01-01T00:00:00Z", *SINCE)["calls"] == []
    assert "no calls" in site.vosd("why", "--callee", "99", *SINCE).stdout
    assert site.vosd("why", *SINCE).exit_code == 2


def test_every_end_reason_has_its_advice_and_some_codes_more(site):
    assert set(ADVICE) == set(EndReason)
    no_prefix = advice(refused_call(1, end_reason="No Available Route", sip_code=404))
    none_free = advice(refused_call(1, end_reason="No Available Route", sip_code=503))
    assert "no routing gateway has a prefix" in no_prefix.said.lower()
    assert none_free == ADVICE[EndReason.NO_AVAILABLE_ROUTE]
    silent = [advice(refused_call(1, end_reason="No Answer", sip_code=408, q850_cause=cause)) for cause in (102, 19)]
    unrung, rung = [
        advice(refused_call(1, end_reason="No Answer", sip_code=480, q850_cause=cause)) for cause in (18, 19)
    ]
    assert ["response_timeout" in each.said for each in (*silent, unrung, rung)] == [True, True, False, False]
    assert ("did not ring" in unrung.said, "It rang" in rung.said) == (True, True)
    assert "this version" in advice(refused_call(1, end_reason="New Reason")).said


def test_the_cost_of_an_answer_in_vain_is_no_caller_that_gave_up():
    def said(reason, **changes):
        row = Attempt(gateway="trunk-1", code=200, ms=9_000, pdd_ms=None, reason=reason)
        return advice(refused_call(1, end_reason="Cancelled", sip_code=None, attempts=(row,), **changes)).said

    assert "answered after it was given up" in said(LATE_ANSWER, customer_account=None)
    assert "A second phone behind the gateway" in said(FORKED, customer_account=None)
    itself = said(LATE_ANSWER, customer_account="acme")
    assert itself == ADVICE[EndReason.CANCELLED].said, "its customer gave up"


def test_a_call_that_was_lost_before_its_answer_did_not_wait_for_the_switch():
    ringing, talking = refused_call(1, end_reason="Lost", sip_code=503), answered_call(2, end_reason="Lost")
    assert "before it was answered" in advice(ringing).said
    assert "longer than the call could wait" in advice(talking).said


@pytest.mark.parametrize(
    ("reason", "refusal", "said"),
    [
        (EndReason.UNAVAILABLE, "1001 (phone not registered)", "The called phone is not registered."),
        (EndReason.UNAVAILABLE, "Unsupported: 100rel", "refused before any gateway was tried: Unsupported: 100rel."),
        (EndReason.BUSY, "phone 1001: full", "The called phone had as many calls as it may have."),
        (EndReason.NO_AVAILABLE_ROUTE, "no gateway's prefix fits 44", "No routing gateway has a prefix"),
        (
            EndReason.NO_AVAILABLE_ROUTE,
            "no gateway's prefix fits 49, the routing number of 44",
            "which the call is routed",
        ),
        (EndReason.NO_AVAILABLE_ROUTE, "left out for 44: a (full)", "none could take the call"),
        (EndReason.NO_AVAILABLE_ROUTE, "44 is assigned to no account", "leads nowhere: 44 is assigned to no account."),
        (EndReason.NO_AVAILABLE_ROUTE, NO_PORTABILITY.detail, "did not say where the call goes: the lookup"),
        (EndReason.NO_AVAILABLE_ROUTE, NOT_REDIRECTED.detail, "did not say where the call goes: the redirect server"),
        (EndReason.NO_COMMON_CODEC, "left out for 44: the caller's media are IPv6", "IPv4 and IPv6"),
    ],
)
@pytest.mark.parametrize("code", [404, 480, 503])
def test_a_call_that_no_gateway_was_tried_for_is_not_said_to_have_failed_there(reason, refusal, said, code):
    """Also where the trunk of the caller maps the code."""
    assert said in advice(refused_call(1, end_reason=reason.text, sip_code=code), refusal).said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hangup_source": "caller"}, "(PRACK)"),
        ({"hangup_source": "callee", "vendor_answered_at": 5}, "hung up before our answer"),
        ({"hangup_source": "switch", "vendor_answered_at": 5}, "could not be sent to the caller"),
        ({"hangup_source": "callee"}, "Every gateway that was tried failed."),
        ({"attempts": (SOUND,)}, "its code ended the call"),
        ({"attempts": (SOUND,), "end_reason": "Not Found"}, "its code ended the call"),
        ({"attempts": (*TRIED, SOUND)}, "Every gateway that was tried failed."),
        ({"attempts": (SOUND,), "end_reason": "Cancelled"}, "The caller gave up"),
        ({"end_reason": "No Common Codec", "attempts": (BARE,)}, "needs encryption"),
        ({"end_reason": "Authentication Failed"}, "no certificate"),
        ({"end_reason": "Overload"}, "could not be written to disk"),
        ({"end_reason": "No Common Codec", "answered_at": 5}, "While they talked"),
        ({"end_reason": "No Common Codec"}, "no codec in common"),
        ({"end_reason": "No Common Codec", "attempts": (UNSENT,)}, "so no INVITE was sent"),
        ({"end_reason": "No Common Codec", "attempts": (UNSENT, TRIED[1])}, "no codec in common"),
    ],
)
def test_an_end_that_no_refusal_of_a_gateway_led_to_is_not_said_to_be_one(changes, said):
    call = refused_call(1, **{"end_reason": "Unavailable", "sip_code": 503, "attempts": TRIED, **changes})
    assert said in advice(call).said


def test_a_call_whose_offer_no_codecs_let_through_says_where_they_are_written(site):
    """The vendor was asked nothing: it has not failed to answer."""
    (call,) = site.document("why", "--callee", "4931115", *SINCE)["calls"]
    assert call["todo"] == "compare the offer in the ladder with `codecs` of pbx, trunk-1"
    assert "trunk-1 not sent 0 No Common Codec" in " ".join(
        site.vosd("why", "--callee", "4931115", *SINCE).stdout.split()
    )
    shown = site.document("cdr", "show", call["call_id"], "--why")
    assert shown["candidates"][0]["reason"] == "tried: not sent after 0 ms (No Common Codec)"


def test_a_gateway_that_rang_has_not_been_silent(site):
    shown = site.vosd("why", "--callee", "4931116", *SINCE).stdout
    assert "trunk-2 no final response 30000 80 No Answer" in " ".join(shown.split())


def test_a_call_that_was_not_encrypted_says_what_a_telephone_needs_that_answers_sdes_by_dtls():
    call = refused_call(1, end_reason="No Common Codec", sip_code=488, attempts=(BARE,))
    assert "needs encryption_by: dtls" in advice(call).todo


def test_the_table_of_end_reasons_names_every_reason_that_has_an_advice():
    page = (DOCUMENTS / "operations.md").read_text().partition("## Why calls end")[2].partition("\n## ")[0]
    assert [reason.text for reason in EndReason if f"`{reason.text}`" not in page] == []


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Installation:
    installation = Installation(tmp_path_factory.mktemp("whose"))
    migrated(installation.database)
    charges = (
        ChargeRow("retail", "customer", 0, "sell", None, None, None, None, 60, Decimal(1), Decimal(0), "USD"),
        ChargeRow("reseller", "agent", 1, "sell", None, None, None, None, 60, Decimal(1), Decimal(0), "USD"),
    )
    poor = '{"refusal":"agent reseller: 0.00 available, 0.02 needed"}'
    test_call = {"mapping_gateway": None, "customer_account": None, "charges": (), "postings": ()}
    installation.book(
        [
            refused_call(1, callee_in="491", attempts=(TRIED[1],), mapping_gateway="pbx"),
            refused_call(2, callee_in="492", end_reason="Insufficient Balance", sip_code=402, verdicts=poor),
            answered_call(3, callee_in="493", **test_call),
            answered_call(
                4, callee_in="494", end_reason="Balance Exhausted", customer_account="retail", charges=charges
            ),
        ]
    )
    return installation


def test_a_test_call_has_no_unknown_source(others):
    said = others.vosd("why", "--callee", "493", *SINCE).stdout
    assert "from a test call (vosd call test)" in said


def test_for_an_agent_without_money_the_agent_pays(others):
    (refused,) = others.document("why", "--callee", "492", *SINCE)["calls"]
    assert "Agent reseller, above the customer's account, has less left" in refused["headline"]
    assert refused["todo"].startswith("look at vosd account show reseller; the agent has to pay")
    (ended,) = others.document("why", "--callee", "494", *SINCE)["calls"]
    assert "that of an agent above it" in ended["headline"]
    assert "vosd account show of retail, reseller" in ended["todo"]


@pytest.mark.parametrize(
    ("reason", "refusal"),
    [
        (EndReason.NO_MATCHING_RATE, "agent reseller: resold rates no 44"),
        (
            EndReason.RATE_TYPE_NOT_ALLOWED,
            "agent reseller: account reseller may call local; prefix 44 of resold is net",
        ),
        (EndReason.ACCOUNT_EXPIRED, "agent reseller has expired"),
        (EndReason.ACCOUNT_DISABLED, "agent reseller is disabled"),
        (EndReason.ACCOUNT_CAPACITY, "agent reseller: concurrency limit 5"),
    ],
)
def test_a_refusal_for_an_agent_names_the_agent(reason, refusal):
    found = advice(refused_call(1, end_reason=reason.text), refusal)
    assert found.said.replace("The rate group of a", "A").startswith("Agent reseller, above the customer's account, ")
    assert advice(refused_call(1, end_reason=reason.text), refusal.replace("agent", "account", 1)) == ADVICE[reason]


def test_a_vendor_that_is_paid_in_advance_may_be_the_one_with_nothing_left():
    ended = answered_call(1, end_reason="Balance Exhausted", customer_account="solo", vendor_account="vp")
    charges = (charge_row("solo", "customer", 0, Decimal(1)), charge_row("vp", "vendor", 0, Decimal(1)))
    found = advice(replace(ended, charges=charges))
    assert "a vendor which is paid in advance" in found.said
    assert found.todo.startswith("the customer has to pay"), "most vendors are paid afterwards"
    assert found.todo.endswith("where vp is paid in advance: look at vosd account show vp, too")
    found = advice(replace(ended, charges=charges[1:], customer_account=None))
    assert "vosd account show of vp:" in found.todo
    partner = (charges[0], replace(charges[1], earned=1))
    assert advice(replace(ended, charges=partner)) == ADVICE[EndReason.BALANCE_EXHAUSTED], "it earns by the call"


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        ("account acme may spend 5 USD per day", "compare spend_limits"),
        ("agent reseller: account reseller may spend 5 USD per day", "compare spend_limits"),
        ("account acme has 0 USD available, 60 s to prefix 44 hold 1, as its database_away_cap", "database_away_cap"),
        ("account acme has 0 USD available, 60 s to prefix 44 hold 1", "vosd account show"),
    ],
)
def test_a_limit_of_what_may_be_spent_is_no_want_of_money(refusal, expected):
    assert expected in advice(refused_call(1, end_reason="Insufficient Balance", sip_code=402), refusal).todo


@pytest.mark.parametrize(
    ("refusal", "said", "todo"),
    [
        (
            "account retail has 0.00 USD available, 61 s",
            "What the account may spend was used up.",
            "vosd account show;",
        ),
        ("agent reseller: account reseller has 0.00 USD", "Agent reseller, above the customer's", "show reseller;"),
        (
            "vendor vp: account vp has 0.00 USD available",
            "Vendor vp, which is paid in advance",
            "show vp; pay the vendor",
        ),
        ("account retail may spend 5.00 USD per day", "past a limit of what it may", "compare spend_limits"),
        (
            "agent reseller: account reseller may spend 5.00 USD per day",
            "past a limit of what it may",
            "compare spend_limits",
        ),
        (f"account retail {FROZEN}", "Another switch may have taken the database", "lease_lost"),
        ("account retail has 0.00, as its database_away_cap allows no more", "database is away", "database_away_cap"),
    ],
)
def test_the_account_whose_money_has_ended_a_call_is_named(refusal, said, todo):
    charges = tuple(charge_row(name, role, 0, Decimal(1)) for name, role in (("retail", "customer"), ("vp", "vendor")))
    ended = answered_call(1, end_reason="Balance Exhausted", customer_account="retail", vendor_account="vp")
    found = advice(replace(ended, charges=charges), refusal)
    assert said in found.said
    assert todo in found.todo


def test_calls_are_chosen_by_account_gateway_or_call_id(others):
    def found(*words):
        return [call["call_id"] for call in others.document("why", *words)["calls"]]

    assert found("--account", "retail", *SINCE) == [call_id(4)]
    assert found("--gateway", "pbx", *SINCE) == [call_id(1)]
    assert found("--call-id", call_id(2)) == [call_id(2)]
    messages = others.document("cdr", "show", call_id(3))["sip_call_id_in"]
    assert call_id(3) in found("--call-id", messages)
    assert found("--call-id", "no-such@call") == []
