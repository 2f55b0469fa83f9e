"""VOS3000's parameters, its preset, and the warnings of settings that are probably not intended."""

from decimal import Decimal
from itertools import chain

import pytest
from doubles.data.builders import rates_in

GROUP = "rate_groups: [{name: g, rates: [{prefix: 44, billing_rate: '0.6'}]}]\n"


def policy(site, text: str):
    group = site.load(text + GROUP).catalogue.rate_groups["g"]
    return group.policy, rates_in(group)[0].billing_cycle


def test_without_a_preset_fees_have_six_places_and_seconds_are_paid_for(site):
    rounding, cycle = policy(site, "")

    assert (rounding.fee_precision, rounding.fee_unit, cycle) == (6, Decimal("0.000001"), 1)
    assert (rounding.hold_time_precision_ms, rounding.free_time_s) == (50, 0)


def test_the_preset_gives_vos3000s_defaults_and_the_file_still_wins(site):
    rounding, cycle = policy(site, "preset: vos3000\nparameters: {SS_BILLINGUNIT: 6}\n")
    loaded = site.load("preset: vos3000\n")

    assert (rounding.fee_precision, rounding.fee_unit, cycle) == (2, Decimal("0.01"), 6)
    assert loaded.settings.sip.answers_unknown_sources
    assert loaded.catalogue.parameters.max_call_seconds == 604_800
    assert site.load("preset: vos3000\nlimits: {max_call_seconds: 60}").catalogue.parameters.max_call_seconds == 60
    assert not site.load("preset: vos3000\nsip: {unknown_source: drop}").settings.sip.answers_unknown_sources


def test_the_preset_keeps_as_many_files_of_the_journal_as_vos3000_and_no_longer_than_an_hour(site):
    journal = site.load("preset: vos3000\n").settings.journal
    assert (journal.keep_files, journal.keep_minutes) == (2048, 60)
    assert site.load("preset: vos3000\njournal: {keep_files: 64}\n").settings.journal.keep_files == 64
    assert site.load(site.minimal).settings.journal.keep_files == 64


def test_every_supported_parameter_arrives(site):
    loaded = site.load(
        """
        parameters:
          SERVER_BILLING_FEE_PRECISTION: 3
          SERVER_BILLING_FEE_UNIT: "0.001"
          SERVER_BILLING_HOLD_TIME_PRECISION: 0
          SERVER_BILLING_FREE_TIME: 6
          SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME: 15
          SERVER_BILLING_RECORD_SERVER_HANG_UP: 0
          SS_BILLINGUNIT: 30
          SS_STARTBILLINGTIME: 0
        rate_groups: [{name: g, rates: [{prefix: 44, billing_rate: "0.6"}]}]
        accounts: [{id: acme, rate_group: g}]
        """
    )

    group = loaded.catalogue.rate_groups["g"]
    assert (group.policy.fee_precision, group.policy.fee_unit) == (3, Decimal("0.001"))
    assert (group.policy.hold_time_precision_ms, group.policy.free_time_s) == (0, 6)
    assert rates_in(group)[0].billing_cycle == 30
    assert loaded.catalogue.accounts["acme"].advance_s == 900
    assert not loaded.catalogue.parameters.record_server_hang_up


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("SERVER_BILLING_FEE_PRECISTION", "9"),
        ("SERVER_BILLING_FEE_PRECISION", "-1"),
        ("SERVER_BILLING_FEE_UNIT", "0"),
        ("SERVER_BILLING_HOLD_TIME_PRECISION", "1000"),
        ("SERVER_BILLING_FREE_TIME", "3601"),
        ("SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME", "0"),
        ("SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME", "16"),
        ("SERVER_BILLING_RECORD_SERVER_HANG_UP", "2"),
        ("SS_BILLINGUNIT", "3601"),
        ("SS_STARTBILLINGTIME", "2"),
    ],
)
def test_a_parameter_out_of_its_range_is_an_error(site, name, bad):
    (error,) = site.errors(f"parameters: {{{name}: {bad}}}\n")

    assert error.startswith(f"vosd.yaml:1: parameters.{name}: value '{bad}': expected ")


def test_either_spelling_of_the_fee_precision_is_taken_but_not_both(site):
    for name in ("SERVER_BILLING_FEE_PRECISTION", "SERVER_BILLING_FEE_PRECISION"):
        text = f"parameters: {{{name}: 4, SERVER_BILLING_FEE_UNIT: '0.0001'}}\n"
        assert policy(site, text)[0].fee_precision == 4

    assert site.errors("parameters:\n  SERVER_BILLING_FEE_PRECISTION: 4\n  SERVER_BILLING_FEE_PRECISION: 4\n") == [
        (
            "vosd.yaml:3: parameters.SERVER_BILLING_FEE_PRECISION: expected either SERVER_BILLING_FEE_PRECISION or "
            "SERVER_BILLING_FEE_PRECISTION, which stands at vosd.yaml:2"
        )
    ]


def test_the_correct_spelling_wins_over_the_presets_default(site):
    text = "preset: vos3000\nparameters: {SERVER_BILLING_FEE_PRECISION: 4, SERVER_BILLING_FEE_UNIT: '0.0001'}\n"

    assert policy(site, text)[0].fee_precision == 4


def test_a_parameter_of_h323_is_a_warning(site):
    assert site.warnings("parameters: {SS_H323_TIMEOUT_SETUP: 5, SS_H245_PORT_RANGE: '10000,39999'}\n") == [
        (
            "vosd.yaml:1: warning: parameters.SS_H323_TIMEOUT_SETUP: value '5': "
            "expected no such parameter, as it has no effect: H.323 is not supported"
        ),
        (
            "vosd.yaml:1: warning: parameters.SS_H245_PORT_RANGE: value '10000,39999': "
            "expected no such parameter, as it has no effect: H.323 is not supported"
        ),
    ]


def test_a_parameter_file_of_vos3000_is_taken_with_a_warning_for_what_has_no_effect(site):
    media = "SS_MEDIAPROXYMODE: Auto, SS_RTP_PORT_RANGE: '10000,39999', SS_QOS_RTP: '0xa0', IVR_RTP_PORT: '40000,47999'"
    text = f"parameters: {{{media}, SERVER_CDR_FILE_WRITE_INTERVAL: 60, SERVER_CDR_FILE_WRITE_MAX: 2048}}\n"
    warnings = site.warnings(text)
    assert len(warnings) == 5
    assert any("SERVER_CDR_FILE_WRITE_INTERVAL: value '60': expected no such parameter" in each for each in warnings)
    assert site.load(text).settings.journal.keep_files == 2_048
    assert site.load(f"{text}journal: {{keep_files: 3}}\n").settings.journal.keep_files == 3
    assert site.load(GROUP).settings.journal.keep_files == 64


def test_a_unit_that_is_not_the_precisions_power_of_ten_is_a_warning(site):
    assert site.warnings("parameters:\n  SERVER_BILLING_FEE_PRECISTION: 3\n  SERVER_BILLING_FEE_UNIT: '0.01'\n") == [
        (
            "vosd.yaml:3: warning: parameters.SERVER_BILLING_FEE_UNIT: value '0.01': "
            "expected 0.001, as the fee precision is 3: fees are rounded twice"
        )
    ]
    assert site.warnings("preset: vos3000\n") == []


@pytest.mark.parametrize("preset", ["", "preset: vos3000\n"])
@pytest.mark.parametrize(("decimals", "unit"), [(0, "1"), (1, "0.1"), (2, "0.01"), (4, "0.0001"), (8, "0.00000001")])
def test_the_unit_is_the_power_of_ten_of_the_decimals_where_it_is_not_set(site, preset, decimals, unit):
    text = f"{preset}parameters: {{SERVER_BILLING_FEE_PRECISION: {decimals}}}\n"
    assert policy(site, text)[0].fee_unit == Decimal(unit)
    assert site.warnings(text) == []


def test_a_unit_finer_than_the_decimals_has_no_effect_and_is_a_warning(site):
    text = "parameters:\n  SERVER_BILLING_FEE_PRECISION: 2\n  SERVER_BILLING_FEE_UNIT: '0.001'\n"
    assert site.warnings(text) == [
        (
            "vosd.yaml:3: warning: parameters.SERVER_BILLING_FEE_UNIT: value '0.001': "
            "expected no less than 0.01, as fees have 2 decimals, which is what counts then"
        )
    ]
    assert policy(site, text)[0].fee_unit == Decimal("0.01")


def test_leaving_out_cdrs_of_calls_that_the_switch_ends_is_a_warning(site):
    (warning,) = site.warnings("parameters: {SERVER_BILLING_RECORD_SERVER_HANG_UP: 0}\n")

    assert warning.startswith("vosd.yaml:1: warning: parameters.SERVER_BILLING_RECORD_SERVER_HANG_UP: value '0'")


def test_prices_of_rate_groups_are_of_a_cycle_with_the_preset_unless_they_say_otherwise(site):
    text = "rate_groups: [{name: g, billing_unit: 6, KEYS rates: [{prefix: 44, billing_rate: '0.005'}]}]\n"

    def is_of_a_cycle(preset: str, keys: str = "") -> bool:
        rate = site.load(preset + text.replace("KEYS", keys)).catalogue.rate_groups["g"].find("44", 0)
        return rate.rate.per_cycle

    assert is_of_a_cycle("preset: vos3000\n")
    assert not is_of_a_cycle("")
    assert not is_of_a_cycle("preset: vos3000\n", "price_per: minute,")
    assert not is_of_a_cycle("preset: vos3000\ntemplates: {old: {price_per: minute}}\n", "template: old,")


def test_each_rate_that_rounding_would_hurt_is_reported_with_its_line(site):
    loaded = site.load(
        """
        preset: vos3000
        rate_groups:
          - name: g
            price_per: minute
            rates:
              - {prefix: "44", billing_rate: "0.005", billing_cycle: 60}
              - {prefix: "49", billing_rate: "0.0045", billing_cycle: 60}
              - {prefix: "33", billing_rate: "0.05", billing_cycle: 1}
              - {prefix: "1", billing_rate: "0.05", billing_cycle: 60}
              - {prefix: "2", billing_rate: "0", billing_cycle: 60}
        """
    )

    assert [site.shown(str(problem)) for problem in chain.from_iterable(loaded.reports_by_group())] == [
        (
            "vosd.yaml:6: warning: rate_groups[g].rates[44].billing_rate: value '0.005': "
            "expected at most 2 decimals; VOS3000 would have stored 0.01"
        ),
        (
            "vosd.yaml:7: warning: rate_groups[g].rates[49].billing_rate: value '0.0045': "
            "expected a fee precision at which one cycle of 60 s costs at least 0.01, or it is free"
        ),
        (
            "vosd.yaml:7: warning: rate_groups[g].rates[49].billing_rate: value '0.0045': "
            "expected at most 2 decimals; VOS3000 would have stored 0.00, a free rate"
        ),
        (
            "vosd.yaml:8: warning: rate_groups[g].rates[33].billing_rate: value '0.05': "
            "expected a fee precision at which one cycle of 1 s costs at least 0.01, or it is free"
        ),
    ]
    assert [site.shown(str(problem)) for problem in loaded.problems] == [
        (
            "vosd.yaml:3: warning: rate_groups[g]: "
            "expected rates that suit its fee precision 2; 4 do not: `vosd check --report FILE` names each"
        )
    ]


def test_the_resend_list_is_read_in_seconds(site):
    """Without the parameter the timers of RFC 3261 hold."""
    assert site.load("node: sw1").settings.sip.timers.resend_ms == ()
    loaded = site.load("parameters: {SS_SIP_RESEND_INTERVAL: '0.5, 1,2'}")
    assert loaded.settings.sip.timers.resend_ms == (500, 1_000, 2_000)
    assert loaded.settings.sip.timers.give_up_ms == 3_500
    preset = site.load("preset: vos3000").settings.sip.timers
    assert (len(preset.resend_ms), preset.give_up_ms) == (10, 31_500)


@pytest.mark.parametrize("text", ["", "a", "1,,2", "0", "-1", "1,2,", ",".join(["1"] * 21)])
def test_a_resend_list_that_is_none_is_an_error(site, text):
    (error,) = site.errors(f"parameters: {{SS_SIP_RESEND_INTERVAL: '{text}'}}")
    assert "SS_SIP_RESEND_INTERVAL" in error
