"""When the next gateway is tried: gateways, ``routing``, and VOS3000's parameters."""

import re
from pathlib import Path

import pytest

from vosd.config.keys.routing import RoutingKeys
from vosd.config.meanings import meanings_of
from vosd.routing.failover import FAILOVER_CODES, AttemptOutcome, tries_next

final, ring_timeout = AttemptOutcome.final, AttemptOutcome.ring_timeout


def gateway(site, own="", more=""):
    text = site.minimal.replace("address: 192.0.2.9}", f"address: 192.0.2.9{own}}}")
    return site.load(text + more).catalogue.routing_gateways["carrier"]


ALL = "routing: {failover_codes: [486], failover_causes: [34, 38], stop_causes: 1}\n"


def test_what_holds_for_all_gateways_stands_in_one_place(site):
    common = gateway(site, more=ALL)
    assert (common.failover_codes, common.failover_causes, common.stop_causes) == ({486}, {34, 38}, {1})


def test_a_gateway_may_say_otherwise_even_that_there_are_none(site):
    own = gateway(site, ", failover_codes: [503], failover_causes: [], stop_causes: [17]", ALL)
    assert (own.failover_codes, own.failover_causes, own.stop_causes) == ({503}, set(), {17})


def test_busy_leads_on_where_the_parameter_says_so(site):
    off = "parameters: {SS_GATEWAY_SWITCH_STOP_AFTER_USER_BUSY: Off}\n"
    busy = gateway(site, more=off)
    assert all(tries_next(busy, final(code)) for code in (486, 600, 503))
    assert not tries_next(busy, final(603))
    assert not tries_next(gateway(site), final(486))
    assert not tries_next(gateway(site, ", failover_codes: 503", off), final(486)), "its own list counts"


def test_until_connect_every_refusal_but_busy_leads_on(site):
    on = "parameters: {SS_GATEWAY_SWITCH_UNTIL_CONNECT: On}\n"
    until = gateway(site, more=on)
    assert all(tries_next(until, final(code)) for code in (302, 410, 484, 503, 603, 604))
    assert not tries_next(until, final(486))
    assert not tries_next(until, final(482)), "the call goes in a circle"
    assert not tries_next(until, final(483))
    assert tries_next(gateway(site, ", failover_codes: 482", on), final(482)), "its own list counts"
    assert tries_next(until, ring_timeout(rang=True))
    assert not tries_next(gateway(site, ", failover_after_ringing: no", on), ring_timeout(rang=True))
    both = on.replace("}", ", SS_GATEWAY_SWITCH_STOP_AFTER_USER_BUSY: Off}")
    assert tries_next(gateway(site, more=both), final(600))


def test_early_media_ends_the_search_by_the_parameter_or_the_gateway(site):
    heard = final(503, rang=True, had_media=True)
    on = "parameters: {SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START: On}\n"
    assert tries_next(gateway(site), heard)
    assert not tries_next(gateway(site, more=on), heard)
    assert not tries_next(gateway(site, ", stop_after_early_media: yes"), heard)
    assert tries_next(gateway(site, ", stop_after_early_media: no", on), heard)
    assert not tries_next(gateway(site, more="preset: vos3000\n"), heard)


@pytest.mark.parametrize(("limit", "attempts"), [("0", 1), ("3", 4)])
def test_the_limit_of_switches_is_one_less_than_that_of_attempts(site, limit, attempts):
    text = f"{site.minimal}parameters: {{SS_GATEWAY_SWITCH_LIMIT: {limit}}}\n"
    assert site.load(text).catalogue.parameters.max_attempts == attempts
    assert site.load(site.minimal).catalogue.parameters.max_attempts == 10


def test_a_cause_is_one_of_q850(site):
    assert site.errors(site.minimal + "routing: {stop_causes: [128]}\n") == [
        "vosd.yaml:11: routing.stop_causes[0]: value '128': expected a cause of Q.850, from 1 to 127"
    ]


@pytest.mark.parametrize(("written", "protect_ms"), [("yes", 10_000), ("no", None), ("false", None), ("2.5", 2_500)])
def test_a_reserve_has_ten_seconds_or_its_own(site, written, protect_ms):
    assert gateway(site, f", protect: {written}").protect_ms == protect_ms


@pytest.mark.parametrize("written", ["0", "601", "soon", "-1"])
def test_the_time_of_a_reserve_has_bounds(site, written):
    text = site.minimal.replace("address: 192.0.2.9}", f"address: 192.0.2.9, protect: '{written}'}}")
    assert site.errors(text) == [
        (
            f"vosd.yaml:10: routing_gateways[carrier].protect: value '{written}': "
            "expected no, yes, or seconds from 0.05 to 600, with at most 3 decimals"
        )
    ]


def test_calls_are_spread_over_addresses_not_over_names(site):
    assert gateway(site, ", spread: yes").spread
    text = site.minimal.replace("address: 192.0.2.9}", "address: [192.0.2.9, sip.example.org], spread: yes}")
    assert site.errors(text) == [
        (
            "vosd.yaml:10: routing_gateways[carrier].spread: value 'yes': "
            "expected addresses instead of names: the order of what a name has is that of DNS"
        )
    ]


@pytest.mark.parametrize(
    ("seconds", "plan", "is_late"),
    [("29.999", "", False), ("30", "", True), ("30", "routing_plans: [{name: long, search_seconds: 31}]\n", False)],
)
def test_a_protected_gateway_that_joins_behind_the_end_of_the_search_is_warned_of(site, seconds, plan, is_late):
    text = site.minimal.replace("address: 192.0.2.9}", f"address: 192.0.2.9, protect: {seconds}}}")
    found = [each for each in site.warnings(text + plan) if ".protect" in each]
    expected = "expected less than the search_seconds of routing plans, 30: no attempt begins later"
    assert [each.endswith(expected) for each in found] == [True] * is_late


def codes_in(text: str) -> set[int]:
    """Return the codes that a text lists: single ones, ranges and classes."""
    found: set[int] = set()
    for first, last, hundreds in re.findall(r"\b(\d{3})(?:-(\d{3}))?\b|\b(\d)xx\b", text):
        if hundreds:
            found.update(range(int(hundreds) * 100, int(hundreds) * 100 + 100))
        else:
            found.update(range(int(first), int(last or first) + 1))
    return found


def test_the_reference_and_the_page_say_after_which_codes_the_next_gateway_is_tried_by_default():
    meaning = meanings_of(RoutingKeys)["failover_codes"].partition("Default: ")[2]
    page = (Path(__file__).parents[3] / "docs/routing.md").read_text()
    (line,) = re.findall(r"^- A final code of `failover_codes`: by default (.*)$", page, re.MULTILINE)
    assert codes_in(meaning) == codes_in(line) == FAILOVER_CODES
