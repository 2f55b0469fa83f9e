"""Session timers in the configuration: VOS3000's parameters, what a trunk or phone says otherwise, and mistakes."""

import pytest

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.session_timer import Probe, SessionTimerSettings

DIVISOR = "a whole number from 2 to 10; it divides the session interval and is no time itself"
PARAMETERS = (
    "parameters: {SS_SIP_SESSION_TTL: 900, SS_SIP_SESSION_UPDATE_SEGMENT: 3, SS_SIP_SESSION_MIN_SE: 120, "
    "SS_SIP_SESSION_TIMEOUT_EARLY_HANGUP: 5, SS_SIP_NO_TIMER_REINVITE_INTERVAL: 0}\n"
)


def terms_of(site, text):
    """Return what holds for calls from the one customer and to the one vendor."""
    catalogue = site.load(text).catalogue
    customer, vendor = catalogue.mapping_gateways["acme-pbx"], catalogue.routing_gateways["carrier"]
    return customer.dialect.session_timer, vendor.dialect.session_timer


def test_left_out_they_are_vos3000s(site):
    expected = SessionTimerSettings(600, 2, 90, 0, 7_200, Probe.NONE, enabled=True)
    assert terms_of(site, site.minimal) == (expected, expected)


def test_the_parameters_hold_for_every_trunk(site):
    expected = SessionTimerSettings(900, 3, 120, 5, 0)
    assert terms_of(site, site.minimal + PARAMETERS) == (expected, expected)


def test_a_trunk_may_say_otherwise(site):
    text = site.minimal.replace(
        "hosts: 192.0.2.1}", "hosts: 192.0.2.1, session_timer: {ttl: 300, early_hangup: 0, no_timer_limit: 60}}"
    ).replace("address: 192.0.2.9}", "address: 192.0.2.9, session_timer: {segment: 10, min_se: 90, probe: options}}")
    customer, vendor = terms_of(site, text + PARAMETERS)
    assert customer == SessionTimerSettings(300, 3, 120, 0, 60)
    assert vendor == SessionTimerSettings(900, 10, 90, 5, 0, Probe.OPTIONS)


def test_a_trunk_may_have_none(site):
    text = site.minimal.replace("address: 192.0.2.9}", "address: 192.0.2.9, session_timer: {enabled: no}}")
    customer, vendor = terms_of(site, text)
    assert (customer.enabled, vendor.enabled) == (True, False)


def test_a_phone_has_them_calling_and_called(site):
    phone = 'phones: [{number: "1001", account: acme, password: x, session_timer: {ttl: 300}}]\n'
    found = site.load(site.minimal + phone).catalogue.phones["1001"]
    assert found.gateway.dialect.session_timer == SessionTimerSettings(ttl_s=300)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("SS_SIP_SESSION_UPDATE_SEGMENT", "11", DIVISOR),
        ("SS_SIP_SESSION_UPDATE_SEGMENT", "300", DIVISOR),
        ("SS_SIP_SESSION_UPDATE_SEGMENT", "two", "a whole number from 2 to 10"),
        ("SS_SIP_SESSION_TTL", "59", "a whole number of seconds from 60 to 86400"),
        ("SS_SIP_SESSION_MIN_SE", "60", "a whole number of seconds from 90 to 3600"),
    ],
)  # fmt: skip
def test_mistakes_are_named(site, key, value, expected):
    (error,) = site.errors(site.minimal + f"parameters: {{{key}: {value}}}\n")
    assert error.endswith(f"parameters.{key}: value '{value}': expected {expected}")


def test_mistakes_of_a_trunk_are_named_with_their_place(site):
    text = site.minimal.replace("address: 192.0.2.9}", "address: 192.0.2.9, session_timer: {segment: 300, prob: x}}")
    errors = site.errors(text)
    assert any("routing_gateways[carrier].session_timer.segment" in error for error in errors)
    assert any("did you mean 'probe'" in error for error in errors)


def test_an_interval_that_cannot_be_is_noticed(site):
    loaded = site.load(site.minimal + "parameters: {SS_SIP_SESSION_TTL: 60}\n")
    assert any("SS_SIP_SESSION_MIN_SE" in str(problem) for problem in loaded.problems)


@pytest.mark.parametrize("billing", list(DeadCallBilling))
def test_how_dead_calls_are_billed(site, billing):
    text = f"{site.minimal}limits: {{dead_call_billing: {billing.value}}}\n"
    assert site.load(text).catalogue.parameters.dead_call_billing is billing
    assert site.load(site.minimal).catalogue.parameters.dead_call_billing is DeadCallBilling.DETECTION
