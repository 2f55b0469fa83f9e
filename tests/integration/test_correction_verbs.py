"""``vosd cdr correct``, ``corrections`` and ``charges`` on SQLite, without a daemon."""

import json
import shutil
from decimal import Decimal

import pytest
from click.testing import CliRunner
from doubles.data.builders import applied_rate
from doubles.data.records import call_id, refused_call
from doubles.ended_calls import ended_call
from doubles.installation import Installation
from doubles.recomputed import recompute

from vosd.admin.office.rerating import RunBookings
from vosd.cdr.corrections import Amounts, ChargeChange, Correction
from vosd.cdr.record import CUSTOMER
from vosd.cli.main import main
from vosd.wiring import configured_switch


@pytest.fixture
def booked(tmp_path, migrated) -> Installation:
    installation = Installation(tmp_path)
    shutil.copy(migrated, installation.database)
    calls = [ended_call(1, applied_rate("0.60", tax_rate="10"), applied_rate("0.30")), refused_call(2)]
    installation.book(calls)
    return installation


def test_a_fee_is_corrected_shown_and_verified(booked):
    said = booked.vosd("cdr", "correct", call_id(1), "--fee", "0.36", "--memo", "wrong rate", "--reference", "t1")
    assert said.exit_code == 0, said.output
    assert "0.286" in said.output  # 0.62 + 0.062 - 0.36 - 0.036
    (call,) = booked.document("cdr", "list", "--account", "customer-1")
    assert (call["fee"], call["tax"]) == ("0.36", "0.036")
    assert [each["corrected"] for each in call["charges"]] == [1, 0]
    assert "corrected" in booked.vosd("cdr", "show", call_id(1)).output
    (change,) = booked.document("cdr", "corrections", call_id(1))
    assert (change["fee_before"], change["fee_after"], change["memo"]) == ("0.62", "0.36", "wrong rate")
    assert (change["amount"], change["reference"], change["role"]) == ("0.286", "t1", "customer")
    assert booked.vosd("ledger", "verify").exit_code == 0
    assert booked.document("account", "show", "customer-1")["balance"] == "-0.396"


def test_the_same_reference_is_booked_once_and_says_so(booked):
    arguments = ("cdr", "correct", call_id(1), "--cost", "0.10", "--memo", "invoice", "--reference", "t1")
    first, again = booked.vosd(*arguments), booked.vosd(*arguments)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert "booked before; nothing was booked now" in again.output
    assert Decimal(booked.document("account", "show", "vendor-1")["balance"]) == Decimal("-0.10")


def test_a_dry_run_says_what_would_change(booked):
    (change,) = booked.document("cdr", "correct", call_id(1), "--fee", "0", "--memo", "goodwill", "--dry-run")
    assert (change["fee_after"], change["tax_after"], change["amount"]) == ("0.00", "0.00", "0.682")
    assert booked.document("cdr", "corrections", call_id(1)) == []
    assert booked.document("cdr", "list")[1]["fee"] == "0.62"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fee", "1"), "memo"),
        (("--fee", "1", "--memo", " "), "--memo is empty"),
        (("--memo", "why"), "say what is to be corrected"),
        (("--fee", "-1", "--memo", "why"), "zero or more"),
        (("--fee", "1e3", "--memo", "why"), "is not an amount"),
        (("--fee", "1", "--memo", "why", "--reference", ""), "--reference is empty"),
        (("--fee", "1", "--memo", "why", "--reference", "rerate-today"), "vosd rerate"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(booked, arguments, said):
    result = booked.vosd("cdr", "correct", call_id(1), *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_a_charge_that_the_call_has_not_is_an_error(booked):
    result = booked.vosd("cdr", "correct", call_id(1), "--agent-fee", "1", "0.5", "--memo", "why")
    assert result.exit_code == 1
    assert "has no charge for the agent of level 1" in result.output
    assert booked.vosd("cdr", "correct", call_id(9), "--fee", "1", "--memo", "why").exit_code == 1


@pytest.mark.parametrize("index", [1, 3])
def test_the_charges_of_a_call_are_shown_with_their_steps_whether_it_has_a_cdr_or_not(booked, index):
    unrecorded = ended_call(3, applied_rate("0.60", tax_rate="10"), applied_rate("0.30"), recorded=False)
    booked.book([unrecorded])
    found = booked.document("cdr", "charges", call_id(index))
    assert [(each["role"], each["fee"], each["tax"]) for each in found] == [
        ("customer", "0.62", "0.062"),
        ("vendor", "0.31", "0.00"),
    ]
    for each in found:
        assert recompute(each["breakdown"]).fee == Decimal(each["fee"])
    shown = booked.vosd("cdr", "charges", call_id(index)).output
    assert "customer customer-" in shown
    assert "hold_time" in shown
    assert booked.vosd("ledger", "verify").exit_code == 0


def test_charges_of_an_unknown_call_are_an_error(booked):
    result = booked.vosd("cdr", "charges", call_id(9))
    assert (result.exit_code, "has charges" in result.output) == (1, True)
    several = booked.vosd("cdr", "charges", call_id(1)[:8])
    assert several.exit_code == 1


def test_a_new_rating_fails_where_what_differs_was_booked_before_under_its_reference(booked):
    span = ("--since", "2026-01-01T00:00:00Z", "--until", "2027-01-01T00:00:00Z", "--account", "customer-1")
    book = ("rerate", *span, "--book", "--memo", "rates of today", "--reference", "today", "--corrected-too")
    assert booked.document(*book)["booked"]["charges"] == 1
    assert booked.document(*book)["booked"]["repeated"] == 0
    booked.document("cdr", "correct", call_id(1), "--fee", "0.36", "--memo", "goodwill")
    again = booked.vosd(*book, "--json")
    done = json.loads(again.stdout)["booked"]
    assert (again.exit_code, done["charges"], done["repeated"]) == (1, 0, 1)
    assert "1 were corrected under this reference before and differ: give another one" in again.stderr


def test_a_new_rating_leaves_what_was_corrected_by_hand(booked):
    rerate = ("rerate", "--since", "2026-01-01T00:00:00Z", "--until", "2027-01-01T00:00:00Z")
    book = ("--book", "--memo", "rates of today", "--reference", "today")
    first = booked.document(*rerate, *book)  # the rates of the call are not those of the configuration
    assert (first["booked"]["reference"], first["corrected_by_hand"]) == ("rerate-today", 0)
    assert first["booked"]["charges"] > 0
    refused = booked.vosd(*rerate, *book[:-1], "x" * 60)
    assert (refused.exit_code, "at most 57 characters" in refused.stderr) == (2, True)
    booked.document("cdr", "correct", call_id(1), "--fee", "0.36", "--memo", "goodwill")

    left = booked.document(*rerate)
    assert (left["differ"], left["corrected_by_hand"]) == (0, 1)
    assert "1 charges were corrected by hand" in booked.vosd(*rerate).stdout
    assert booked.document(*rerate, "--book", "--memo", "again")["booked"]["charges"] == 0
    assert booked.document("cdr", "list")[1]["fee"] == "0.36"

    too = booked.document(*rerate, "--corrected-too")
    assert (too["differ"], too["corrected_by_hand"]) == (1, 0)
    assert "corrected by hand" not in booked.vosd(*rerate, "--corrected-too").stdout
    again = booked.document(*rerate, "--corrected-too", "--book", "--memo", "no goodwill")["booked"]
    assert (again["charges"], again["repeated"]) == (1, 0)
    assert booked.document(*rerate)["corrected_by_hand"] == 0


def test_a_new_rating_fails_where_a_call_was_corrected_while_it_went_on(booked, monkeypatch):
    finish = RunBookings.finish

    async def finish_late(bookings):
        monkeypatch.undo()
        change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("0.36"), Decimal(0), 62))
        goodwill = Correction(call_id(1), (change,), "ticket 7", "ann", "goodwill", 1_790_000_000_000)
        await bookings._store.book([goodwill])
        await finish(bookings)

    monkeypatch.setattr(RunBookings, "finish", finish_late)
    span = ("--since", "2026-01-01T00:00:00Z", "--until", "2027-01-01T00:00:00Z", "--account", "customer-1")
    book = ("rerate", *span, "--book", "--memo", "rates of today", "--json")
    late = booked.vosd(*book)
    done = json.loads(late.stdout)["booked"]
    assert (late.exit_code, done["charges"], done["overtaken"]) == (1, 0, 1)
    assert "1 calls were corrected while the run went on, and stay so: say it again" in late.stderr
    assert booked.document("cdr", "list")[1]["fee"] == "0.36"
    again = booked.vosd(*book)
    assert (again.exit_code, json.loads(again.stdout)["corrected_by_hand"]) == (0, 1)


def test_calls_of_a_prefix_alone_are_rated_again(booked):
    rerate = ("rerate", "--since", "2026-01-01T00:00:00Z", "--until", "2027-01-01T00:00:00Z")
    assert (booked.document(*rerate)["calls"], booked.document(*rerate, "--prefix", "4420")["calls"]) == (2, 1)
    assert booked.document(*rerate, "--prefix", "49")["calls"] == 0
    assert booked.vosd(*rerate, "--prefix", "+44").exit_code == 2
    names = [
        booked.document(*rerate, *more, "--book", "--memo", "why")["booked"]["reference"]
        for more in ((), ("--prefix", "4420"), ("--prefix", "442"))
    ]
    assert len(set(names)) == 3


@pytest.mark.parametrize("is_found", [False, True])
def test_calls_are_rated_by_an_earlier_version_of_a_deck_by_a_copy_of_the_configuration(
    booked, tmp_path, monkeypatch, is_found
):
    """docs/rating.md, earlier days: the rates of the copy's file take the place of the deck, for this verb alone."""
    text = booked.config.read_text()
    begin, end = text.index("    rates:\n"), text.index("accounts:")
    with_deck = text[:begin] + "    deck: true\n" + text[end:]
    booked.config.write_text(with_deck)
    sheet, earlier = tmp_path / "deck.csv", tmp_path / "earlier.csv"
    for price in ("0.60", "0.90"):
        sheet.write_text(f"prefix,billing_rate\n44,{price}\n")
        assert booked.vosd("rates", "import", "sell", str(sheet)).exit_code == 0
    assert booked.vosd("rates", "export", "sell", str(earlier), "--version", "1").exit_code == 0
    rerate = ("rerate", "--since", "2026-01-01T00:00:00Z", "--until", "2027-01-01T00:00:00Z")
    (now,) = [each for each in booked.document(*rerate)["accounts"] if each["role"] == "customer"]
    booked.config.write_text(with_deck.replace("deck: true", "rates_file: earlier.csv"))
    (then,) = [each for each in booked.document(*rerate)["accounts"] if each["role"] == "customer"]
    assert Decimal(now["after"]) == Decimal(then["after"]) * Decimal("1.5") > 0
    monkeypatch.delenv("VOSD_CONFIG", raising=False)
    if is_found:  # as /etc/vosd/vosd.yaml is
        monkeypatch.setattr(configured_switch, "CONFIG_PLACES", (tmp_path / "none" / "vosd.yaml", booked.config))
    without_copy = CliRunner(env={} if is_found else {"VOSD_CONFIG": str(booked.config)}).invoke(
        main, [*rerate, "--book", "--memo", "october"]
    )
    for refused in (booked.vosd("check"), without_copy):
        assert (refused.exit_code, "in one source only" in refused.stdout + refused.stderr) == (3, True)
