"""Bookings that are hard to take back ask at a terminal; programs are not asked."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from doubles.migrated import migrated

from vosd.cli import arguments
from vosd.cli.main import main

CONFIGURATION = """
billing: {ask_above: 100}
accounts: [{id: acme}, {id: globex}]
"""
CLOSE = ("ledger", "close", "--until", "2026-01-01T00:00:00Z")


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vosd.yaml").write_text(f"database: {{url: 'sqlite+aiosqlite:///vosd.db'}}{CONFIGURATION}")
    monkeypatch.setenv("VOSD_CONFIG", "vosd.yaml")
    migrated(tmp_path / "vosd.db")
    return tmp_path / "vosd.db"


def vosd(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, list(words), input=typed)


def pay(amount: str, *words: str, typed: str | None = None) -> Result:
    return vosd("payment", "add", "--account", "acme", "--amount", amount, *words, typed=typed)


def booked(books: Path) -> int:
    with closing(sqlite3.connect(books)) as connection, connection:
        return int(connection.execute("SELECT count(*) FROM ledger_entry").fetchone()[0])


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keyboard:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(arguments, "sys", type("Seen", (), {"stdin": Keyboard()}))


def test_a_payment_up_to_the_limit_is_booked_at_once(books: Path) -> None:
    assert pay("100").exit_code == 0
    assert booked(books) == 1


def test_a_program_is_not_asked(books: Path) -> None:
    moved = ("payment", "transfer", "--from", "acme", "--to", "globex", "--amount", "100.01")
    assert [pay("100.01").exit_code, vosd(*moved, "--force").exit_code, vosd(*CLOSE).exit_code] == [0, 0, 0]
    assert booked(books) == 3


@pytest.mark.usefixtures("terminal")
def test_at_a_terminal_the_answer_decides(books: Path) -> None:
    refused = pay("5000", typed="n\n")
    assert refused.exit_code == 1
    assert "a payment of 5000.00 on acme, more than billing.ask_above of 100" in refused.stderr
    moved = ("payment", "transfer", "--from", "acme", "--to", "globex", "--amount", "100.01", "--force")
    assert vosd(*moved, typed="n\n").exit_code == 1
    assert booked(books) == 0
    assert pay("5000", typed="y\n").exit_code == 0
    assert pay("5000", "--yes").exit_code == 0
    assert booked(books) == 2


@pytest.mark.usefixtures("terminal")
def test_a_period_is_not_closed_without_an_answer(books: Path) -> None:
    refused = vosd(*CLOSE, typed="n\n")
    assert (refused.exit_code, "cannot be changed or opened again" in refused.stderr) == (1, True)
    assert vosd(*CLOSE, "--yes").exit_code == 0


def test_a_period_is_closed_at_a_date_in_the_zone_of_the_books(books: Path) -> None:
    config = books.parent / "vosd.yaml"
    config.write_text(f"{config.read_text()}invoices: {{timezone: Europe/Berlin}}\n")
    done = vosd("ledger", "close", "--yes", "--until", "2025-11-01")
    assert (done.exit_code, "closed until 2025-10-31T23:00:00.000Z" in done.stdout) == (0, True), done.stderr


@pytest.mark.usefixtures("terminal")
def test_unlimited_never_asks(books: Path) -> None:
    config = books.parent / "vosd.yaml"
    config.write_text(config.read_text().replace("ask_above: 100", "ask_above: unlimited"))
    assert pay("999999999").exit_code == 0


def test_a_negative_payment_is_booked_with_a_warning_that_names_adjustments_and_refunds(books: Path) -> None:
    done = pay("-5")
    assert (done.exit_code, "--type adjustment or refund" in done.stderr) == (0, True)
    assert pay("-5", "--type", "adjustment").stderr == ""
    assert booked(books) == 2


def as_user(name: str, *words: str) -> Result:
    return CliRunner().invoke(main, list(words), env={"SUDO_USER": name})


def test_each_login_may_have_a_limit_of_its_own_in_the_configuration(books: Path) -> None:
    config = books.parent / "vosd.yaml"
    limits = "ask_above: unlimited, confirm_above: 100, confirm_above_by: {ann: 1000, bob: unlimited, tim: 0}"
    config.write_text(config.read_text().replace("ask_above: 100", limits))
    pays = ("payment", "add", "--account", "acme", "--amount")
    for name, amount, code in (("ann", "1000", 0), ("ann", "1001", 1), ("bob", "9999", 0), ("tim", "1", 1)):
        assert as_user(name, *pays, amount).exit_code == code
    assert [as_user("eve", *pays, amount).exit_code for amount in ("100", "101")] == [0, 1]
    config.write_text(config.read_text().replace("tim: 0", "tim: much"))
    assert "names with 0 to 999999999999 each, or unlimited" in as_user("ann", *pays, "1").stderr


def test_what_is_above_the_limit_of_one_person_waits_for_another_login(books: Path) -> None:
    config = books.parent / "vosd.yaml"
    config.write_text(config.read_text().replace("ask_above: 100", "ask_above: unlimited, confirm_above: 100"))

    asked = as_user("ann", "payment", "add", "--account", "acme", "--amount", "500", "--reference", "bank-1")
    assert (asked.exit_code, booked(books)) == (1, 0)
    assert "vosd payment confirm 1" in asked.stderr
    assert "500.00  USD" in vosd("payment", "waiting").output
    own = as_user("ann", "payment", "confirm", "1", "--operator", "bob")
    assert (own.exit_code, "another person" in own.stderr, booked(books)) == (1, True, 0)
    assert as_user("bob", "payment", "confirm", "1").exit_code == 0
    assert booked(books) == 1
    listed = books.parent / "bank.csv"
    listed.write_text("account,amount,reference\nacme,50,bank-2\nacme,700,bank-3\n")
    imported = as_user("ann", "payment", "import", str(listed))
    assert (imported.exit_code, "waits for a second person" in imported.output, booked(books)) == (0, True, 2)
    closed = as_user("ann", "account", "close", "acme", "--pay-out")
    assert (closed.exit_code, "payment 2 of account acme waits" in closed.stderr) == (1, True)
    refused = as_user("bob", "payment", "refuse", "2", "--memo", "no")
    assert (refused.exit_code, "refused: payment of 700.00" in refused.output) == (0, True)
    assert "no payment waits" in vosd("payment", "waiting").output
    closed = as_user("ann", "account", "close", "acme", "--pay-out")
    assert (closed.exit_code, "billing.confirm_above" in closed.stderr) == (1, True)
