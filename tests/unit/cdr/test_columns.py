"""A CDR as ``--json`` and CSV have it, and the page that explains its columns."""

import json
import re
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group
from doubles.data.records import answered_call, call_id, refused_call
from doubles.sockets.peer import ANSWER
from doubles.sti import usual
from doubles.virtual.customer import Intent
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import Line, Script
from manuals.cdr import manual

from vosd.b2bua.stamps import Arrival
from vosd.base.margin import LossGuard
from vosd.billing.accounts import AccountType
from vosd.billing.exchange import ExchangeRate
from vosd.billing.rater import itemise
from vosd.cdr.columns import ATTEMPT_KEYS, CHARGE_KEYS, KEYS, RECORD_COLUMNS, csv_row, iso_utc, json_object
from vosd.cdr.kinds import ColumnKind, Masking
from vosd.cdr.record import CallRecord
from vosd.cli.call_listing import _ON_SCREEN, _SHOWN
from vosd.routing.special_numbers import SpecialNumbers
from vosd.stir.settings import StirTerms
from vosd.stir.terms import VerifyTerms
from vosd.trunks.dids import Did
from vosd.trunks.media import MediaEngine, MediaMode, MediaParameters
from vosd.trunks.stir import CallerSignatures, TrunkVerification

PUBLISHED = """
    call_id export_seq node mapping_gateway routing_gateway customer_account vendor_account currency vendor_currency
    billing_method caller_in callee_in caller_out callee_out callee_billing caller_privacy caller_hidden
    forward_prefix routing_number did sip_call_id_in sip_call_id_out source_address destination_address codec
    vendor_codec caller_user_agent callee_user_agent attestation verstat radius_class started_at ringing_at answered_at
    acknowledged_at vendor_answered_at ended_at pdd_ms hold_time_ms hold_time_s billing_base_ms
    vendor_billing_base_ms vendor_paid_ms billed_seconds vendor_billed_seconds fee tax cost cost_tax loss cost_rate
    loss_currency rate_group rate_prefix rate_area rate_type vendor_rate_prefix fee_breakdown
    hangup_source end_reason sip_code q850_cause reason_text verdicts media attempts charges
"""
"""Users hold on to these names and to their order: a new column is added here, none is renamed or moved."""


PUBLISHED_OF_A_CHARGE = """
    account role level rate_group rate_version rate_prefix unit_price price_per billed_seconds fee tax currency
    corrected breakdown earned tax_rate
"""
SOLD_AS_44 = SpecialNumbers(forward_prefix="44")
OF_TABLES = {"attempts", "charges", "postings", "recorded"}


def test_the_columns_are_those_that_users_hold_on_to():
    assert list(KEYS) == PUBLISHED.split()
    expected = "gateway", "code", "ms", "pdd_ms", "reason", "media_path", "media_step", "media_fault"
    assert expected == ATTEMPT_KEYS
    assert list(CHARGE_KEYS) == PUBLISHED_OF_A_CHARGE.split()
    assert list(json_object(answered_call(1), 7)) == PUBLISHED.split()


def test_every_field_of_a_record_is_a_column_but_what_has_a_table_of_its_own():
    fields = [name for name in CallRecord.__struct_fields__ if name not in OF_TABLES]
    assert [column.name for column in RECORD_COLUMNS] == fields


def test_every_column_that_may_be_empty_is_filled_by_a_call():
    """A new column that this call leaves at its default is not filled by any line, or needs here what fills it."""
    sell = rate_group("sell", applied_rate("0.60", area="London", rate_type="local", tax_rate="10"))
    buy = rate_group("buy", applied_rate("9.30", tax_rate="5"))
    postpaid_in_euros = account(
        "carriers", type=AccountType.CLEARING, rate_group="buy", overdraft_limit=None, currency="EUR"
    )
    trunks = [
        mapping_gateway(
            "acme",
            f"{CUSTOMER.host}/32",
            accept_routing_number=True,
            loss_guard=LossGuard(None),
            stir=CallerSignatures(verify=TrunkVerification.YES),
        ),
        vendor_gateway(0),
    ]
    scene = Scene(
        catalogue(
            trunks,
            accounts=[postpaid_in_euros],
            exchange_rates=[ExchangeRate(*pair, Decimal("1.1")) for pair in (("EUR", "USD"), ("USD", "EUR"))],
            rate_groups=[sell, buy],
            dids=[Did(CALLEE, "acme", trunk="vendor-0")],
            verdicts_one_in=1,
            charges_ringing=True,
            special_numbers=SOLD_AS_44,
            media=MediaParameters(engine=MediaEngine.RELAY, mode=MediaMode.ON),
            stir=StirTerms(usual()[1].signer, VerifyTerms()),
        ),
        relay=VirtualRelay(),
    )
    scene.vendor.script = Script((Line(0, 100), Line(0, 180), Line(1_000, 200, ANSWER, ("Server: Carrier/2",))))
    call = scene.caller.call(
        f"{CALLEE};npdi;rn=4499", Intent(headers=("Diversion: <sip:4930@h>", "User-Agent: Desk/1", "Privacy: id"))
    )
    scene.wire.run_for(500)
    (live,) = scene.exchange.switch.calls()
    live.call_request.radius_classes = (b"gold",)  # as the gate says of a call that it lets in
    live.call_request.attestation = "A"  # as a verified signature says; a withheld number is not signed
    scene.await_answer(call, talk_ms=1_000)
    there = scene.vendor.only_call
    scene.wire.run_for(55_000)
    call.hang_up('Reason: Q.850;cause=16;text="bye"')
    scene.wire.run_until(lambda: call.is_over and there.is_over)
    scene.wire.run_for(10)
    record = scene.close()
    defaults = {field.name: field.default for field in msgspec.structs.fields(CallRecord)}
    names = [column.name for column in RECORD_COLUMNS]
    assert [name for name in names if getattr(record, name) == defaults[name]] == ["vendor_paid_ms"]  # of another call


def test_every_fact_of_an_invite_is_a_column_of_its_name():
    """By these names a call that goes on after a restart takes them from its record."""
    assert {*Arrival.__struct_fields__} - {"at"} <= {column.name for column in RECORD_COLUMNS}


def test_only_these_texts_are_not_masked_when_a_call_is_old():
    """A new column of text that may hold a telephone number must not be among them."""
    bare = {
        column.name
        for column in RECORD_COLUMNS
        if column.kind in {ColumnKind.TEXT, ColumnKind.DOCUMENT} and column.masking is Masking.NONE
    }
    assert bare == {"source_address", "destination_address", "fee_breakdown"}


def test_the_manual_of_the_columns_is_what_the_record_declares():
    page = (Path(__file__).parents[3] / "docs" / "cdr.md").read_text(encoding="utf-8")
    assert page == manual(), "run: python tests/manuals/cdr.py > docs/cdr.md"


def test_the_columns_of_listings_exist():
    assert {*_ON_SCREEN, *_SHOWN} <= {*KEYS}


def test_money_is_plain_text_and_times_are_iso_8601_in_an_answered_call():
    record = answered_call(0, fee=Decimal("1.5"), tax=Decimal("0.15000000"), cost=Decimal(0))
    row = json_object(record, 7)
    assert json.loads(json.dumps(row)) == row
    assert row["call_id"] == call_id(0)
    assert row["export_seq"] == 7
    assert (row["fee"], row["tax"], row["cost"], row["cost_tax"]) == ("1.50", "0.15", "0.00", "0.00")
    assert row["started_at"] == "2026-09-21T14:13:20.000Z"
    assert row["answered_at"] == "2026-09-21T14:13:24.000Z"
    assert row["fee_breakdown"]["sell"]["prefix"] == "4420"
    assert row["attempts"] == [
        {
            "gateway": "vendor-0-trunk",
            "code": 200,
            "ms": 4_000,
            "pdd_ms": 880,
            "reason": "Normal",
            "media_path": None,
            "media_step": None,
            "media_fault": None,
        }
    ]


def test_what_did_not_happen_is_null_and_its_money_is_0_00():
    row = json_object(refused_call(1), None)
    for key in ("ringing_at", "answered_at", "pdd_ms", "routing_gateway", "codec", "export_seq"):
        assert row[key] is None
    assert [row[key] for key in ("fee", "tax", "cost", "cost_tax")] == ["0.00"] * 4
    assert row["attempts"] == []
    assert row["fee_breakdown"] == {}


def test_a_damaged_breakdown_does_not_hide_the_call():
    assert json_object(answered_call(1, fee_breakdown='{"sell"'), 1)["fee_breakdown"] == '{"sell"'


def test_charges_are_nested_rows_with_money_as_text():
    charges = json_object(answered_call(1), 1)["charges"]
    assert [(each["role"], each["level"], each["fee"]) for each in charges] == [
        ("customer", 0, "0.012345"),
        ("vendor", 0, "0.009876"),
    ]
    assert list(charges[0]) == PUBLISHED_OF_A_CHARGE.split()
    cells = dict(zip(KEYS, csv_row(answered_call(1), 3), strict=True))
    assert json.loads(cells["charges"]) == charges


def test_csv_cells_stand_under_the_keys_with_nothing_for_null():
    cells = dict(zip(KEYS, csv_row(answered_call(1, ringing_at=None), 3), strict=True))
    assert cells["ringing_at"] == ""
    assert cells["export_seq"] == "3"
    assert cells["fee_breakdown"] == answered_call(1).fee_breakdown
    assert json.loads(cells["attempts"])[0]["gateway"] == "vendor-1-trunk"


@pytest.mark.parametrize(
    ("wall_ms", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"), (951_782_400_001, "2000-02-29T00:00:00.001Z")],
)
def test_times_are_iso_8601_in_utc_with_milliseconds(wall_ms, text):
    assert iso_utc(wall_ms) == text
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)


def test_a_time_outside_the_calendar_is_an_error():
    with pytest.raises(OverflowError):
        iso_utc(10**18)


def test_the_page_explains_every_step_that_a_charge_may_have():
    added = {"connection_fee": "0.01", "minimum_charge": "5", "tax_rate": "10"}
    whole = applied_rate(first_rate="0.1", first_duration=30, **added)
    capped = applied_rate("60", sections="0.10@60;0.18@120")
    abroad = msgspec.structs.replace(whole, exchange_rate=Decimal("0.9"), paid_in="EUR")
    choice = msgspec.structs.replace(whole, candidates=(whole, abroad))
    steps = [each for rate in (whole, capped, abroad, choice) for each in msgspec.json.decode(itemise(rate, 90_000)[1])]
    explained = set(re.findall("`([a-z_]+)`", manual().split("### How a charge was computed")[1].split("\n## ")[0]))
    assert {each["step"] for each in steps} == {
        "candidate", "rate", "hold_time", "free_time", "first_period", "sections", "cycles", "section_cap",
        "connection_fee", "minimum_charge", "exchange", "fee", "tax",
    }  # fmt: skip
    assert {each["step"] for each in steps} <= explained
    assert {key for each in steps if each["step"] == "rate" for key in each} - explained <= {
        "version", "currency",
    }  # fmt: skip
