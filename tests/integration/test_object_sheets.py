"""``vosd definitions import --map``: a sheet of another switch, with its accounts, trunks, phones and balances."""

import shutil
import sqlite3
from decimal import Decimal
from pathlib import Path

import pytest
import xlsxwriter
from doubles.installation import Installation
from doubles.workbook import Raw, xlsx

EXAMPLE = Path(__file__).parents[2] / "config/examples/maps/vos3000-customers.yaml"
HEADER = "Account ID,Account name,Balance,Overdraft limit,Rate group,Lock type,Gateway ID,IP address,Line limit,Agent\n"
NORTH = "north,North Telecom,1250.5,100,Retail,No lock,north-1,192.0.2.10;192.0.2.11,30,ann\n"
AGAIN = "north,North Telecom,1250.5,100,Retail,No lock,north-2,192.0.2.12,,ann\n"
SOUTH = "south,South Ltd,-20,,Wholesale EU,Lock,,,,\n"
NOTHING = "west,West,0.00,,Retail,No lock,,,,\n"


@pytest.fixture
def installation(tmp_path: Path, migrated: Path) -> Installation:
    installation = Installation(tmp_path)
    shutil.copy(migrated, installation.database)
    groups = "".join(
        f'  - {{name: {name}, currency: USD, rates: [{{prefix: "4", billing_rate: "1"}}]}}\n'
        for name in ("retail", "wholesale")
    )
    installation.config.write_text(installation.config.read_text().replace("rate_groups:\n", f"rate_groups:\n{groups}"))
    return installation


def sheet(installation: Installation, *lines: str) -> str:
    file = installation.config.with_name("customers.csv")
    file.write_text("".join(lines))
    return str(file)


def changed_map(installation: Installation, old: str, new: str) -> str:
    text = EXAMPLE.read_text()
    assert old in text
    file = installation.config.with_name("map.yaml")
    file.write_text(text.replace(old, new))
    return str(file)


def imported(installation: Installation, file: str, *more: str, map_: str = str(EXAMPLE)) -> dict:
    return installation.document("definitions", "import", file, "--map", map_, "--operator", "ann", *more)


def refused(installation: Installation, file: str, map_: str = str(EXAMPLE)) -> list[str]:
    result = installation.vosd("definitions", "import", file, "--map", map_)
    assert result.exit_code == 3, result.output
    assert installation.document("definitions", "list") == []
    return [line for line in result.stderr.splitlines() if not line.startswith("columns that")]


def entries(installation: Installation) -> int:
    connection = sqlite3.connect(installation.database)
    (number,) = connection.execute("SELECT count(*) FROM ledger_entry").fetchone()
    connection.close()
    return number


def balance(installation: Installation, account: str) -> str:
    return installation.document("account", "show", account)["balance"]


def test_the_example_map_makes_accounts_trunks_and_opening_balances(installation: Installation) -> None:
    found = imported(installation, sheet(installation, HEADER, NORTH, AGAIN, SOUTH, NOTHING))
    assert [(each["kind"], each["name"], each["action"]) for each in found["changes"]] == [
        ("accounts", "north", "defined"),
        ("mapping_gateways", "north-1", "defined"),
        ("mapping_gateways", "north-2", "defined"),
        ("accounts", "south", "defined"),
        ("accounts", "west", "defined"),
    ]
    assert found["balances"] == [
        {"line": 2, "account": "north", "amount": "1250.50", "currency": "USD", "outcome": "booked"},
        {"line": 4, "account": "south", "amount": "-20.00", "currency": "USD", "outcome": "booked"},
    ]
    assert (balance(installation, "north"), balance(installation, "south")) == ("1250.50", "-20.00")
    (entry,) = installation.document("ledger", "list", "--account", "north")
    assert (entry["kind"], entry["reference"], entry["operator"]) == ("adjustment", "opening balance", "ann")
    assert entry["memo"] == "customers.csv, line 2"
    trunk = installation.document("definitions", "show", "mapping_gateways", "north-1")["keys"]
    assert (trunk["account"], trunk["hosts"]) == ("north", ["192.0.2.10", "192.0.2.11"])
    assert installation.document("definitions", "show", "accounts", "south")["keys"]["enabled"] == "no"
    assert installation.vosd("check").exit_code == 0


def test_a_trial_shows_the_difference_and_the_balances_and_changes_nothing(installation: Installation) -> None:
    found = imported(installation, sheet(installation, HEADER, NORTH), "--dry-run")
    assert found["dry_run"] is True
    assert found["changes"][0]["keys"]["overdraft_limit"] == [None, "100"]
    assert [each["outcome"] for each in found["balances"]] == ["new"]
    assert installation.document("definitions", "list") == []
    assert entries(installation) == 0


def test_the_same_sheet_books_its_balances_once_and_changes_what_differs(installation: Installation) -> None:
    imported(installation, sheet(installation, HEADER, NORTH))
    found = imported(installation, sheet(installation, HEADER, NORTH.replace(",30,", ",60,"), SOUTH))
    assert [(each["name"], each["action"]) for each in found["changes"]] == [
        ("north", "unchanged"),
        ("north-1", "changed"),
        ("south", "defined"),
    ]
    assert [(each["account"], each["outcome"]) for each in found["balances"]] == [
        ("north", "booked before"),
        ("south", "booked"),
    ]
    assert balance(installation, "north") == "1250.50"


def test_one_bad_value_is_named_with_line_and_column_and_nothing_is_stored_or_booked(
    installation: Installation,
) -> None:
    file = sheet(installation, HEADER, NORTH, SOUTH.replace(",,,,", ",south-1,192.0.2.300,many,"))
    hosts, calls = (line.replace(file, "F") for line in refused(installation, file))
    assert hosts.startswith("F:3: IP address (hosts of mapping_gateways south-1): value '192.0.2.300': expected an ")
    assert calls.startswith("F:3: Line limit (max_concurrent of mapping_gateways south-1): value 'many': expected a ")
    assert entries(installation) == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (SOUTH.replace("-20", '"1.250,00"'), "F:2: Balance: value '1.250,00': expected an amount"),
        (SOUTH.replace("-20", "1.250,00"), "F:2: expected 10 cells, as the header has, not 11"),
        ("south,South Ltd,-20,,Wholesale EU\n", "F:2: expected 10 cells, as the header has, not 5"),
        ("Customers: 1\n", "F:2: expected 10 cells, as the header has, not 1"),
        (SOUTH.replace("south,", "#N/A,"), "F:2: Account ID: value '#N/A': expected a value, not an error"),
        (SOUTH.replace("South Ltd", "#REF!"), "F:2: Account name: value '#REF!': expected a value, not an error"),
        (
            SOUTH.replace("south,", "4.71202E+11,"),
            "F:2: Account ID: value '4.71202E+11': expected a value with all its digits",
        ),
        (SOUTH.replace(",Lock,", ",Open,"), "F:2: Lock type: value 'Open': expected one of no lock, lock"),
        (
            NORTH + AGAIN.replace("Telecom", "Tel"),
            "F:3: Account ID: value 'north': expected the same accounts as line 2",
        ),
        (NORTH + AGAIN.replace("1250.5", "1"), "F:3: Balance: value '1': expected the balance of north as on line 2"),
        ("," + SOUTH.partition(",")[2], "F:2: Account ID: expected the account of the balance"),
    ],
)
def test_what_cannot_be_read_is_named_with_line_column_and_value(
    installation: Installation, line: str, said: str
) -> None:
    file = sheet(installation, HEADER, line)
    assert refused(installation, file)[0].replace(file, "F").startswith(said)


def test_rows_in_a_cell_of_a_column_that_is_not_read_are_refused(installation: Installation) -> None:
    rows = (NORTH.replace("\n", ',"x\n'), AGAIN.replace("\n", ",\n"), SOUTH.replace("\n", ',19"\n'))
    file = sheet(installation, HEADER.replace("\n", ",Note\n"), *rows)
    said = installation.vosd("definitions", "import", file, "--map", str(EXAMPLE))
    assert said.exit_code != 0
    assert ":4: expected one row, not several in a cell: is a quotation mark missing?" in said.stderr
    assert installation.document("definitions", "list") == []


def test_a_balance_with_another_amount_than_was_booked_is_refused(installation: Installation) -> None:
    imported(installation, sheet(installation, HEADER, NORTH))
    file = sheet(installation, HEADER, NORTH.replace("1250.5", "7"))
    said = installation.vosd("definitions", "import", file, "--map", str(EXAMPLE))
    assert (said.exit_code, f"{file}:2: Balance: value '7.00': expected the amount" in said.stderr) == (3, True)
    assert balance(installation, "north") == "1250.50"


def test_a_balance_above_the_limit_of_one_person_waits_for_a_second(installation: Installation) -> None:
    installation.config.write_text(installation.config.read_text() + "billing: {confirm_above: 1000}\n")
    found = imported(installation, sheet(installation, HEADER, NORTH, SOUTH))
    assert [each["outcome"] for each in found["balances"]] == ["waits for a second person", "booked"]
    (waiting,) = installation.document("payment", "waiting")
    assert (waiting["account"], waiting["amount"], waiting["type"]) == ("north", "1250.50", "adjustment")
    assert balance(installation, "north") == "0.00"


def test_a_workbook_with_a_decimal_comma_is_read_as_well(installation: Installation) -> None:
    lines = (HEADER, NORTH.replace("1250.5", "1.250@50").replace(",100,", ",unlimited,"))
    rows = [[cell.replace("@", ",") for cell in line.strip().split(",")] for line in lines]
    file = xlsx(installation.config.with_name("customers.xlsx"), rows)
    map_ = changed_map(installation, 'decimal: "."', 'decimal: ","')
    assert imported(installation, str(file), map_=map_)["balances"][0]["amount"] == "1250.50"
    assert installation.document("definitions", "show", "accounts", "north")["keys"]["overdraft_limit"] == "unlimited"


def test_numbers_of_a_workbook_are_amounts_as_they_are_whatever_the_decimal_mark(installation: Installation) -> None:
    """A spreadsheet shows 12.345 as 12,345 where its comma is decimal; as text it would be twelve thousand."""
    account: list[object] = [
        "north",
        "North Telecom",
        Decimal("12.345"),
        Decimal("2.125"),
        "Retail",
        "No lock",
        *[""] * 4,
    ]
    file = xlsx(installation.config.with_name("customers.xlsx"), [[*HEADER.strip().split(",")], account])
    found = imported(installation, str(file), map_=changed_map(installation, 'decimal: "."', 'decimal: ","'))
    assert [each["amount"] for each in found["balances"]] == ["12.345"]
    assert installation.document("definitions", "show", "accounts", "north")["keys"]["overdraft_limit"] == "2.125"


def test_an_error_in_a_cell_of_a_workbook_is_no_account(installation: Installation) -> None:
    account: list[object] = [Raw('t="e"><v>#N/A</v>'), "North Telecom", Decimal(7), "", "Retail", *[""] * 5]
    file = xlsx(installation.config.with_name("customers.xlsx"), [[*HEADER.strip().split(",")], account])
    assert "Account ID: value '#ERROR': expected a value, not an error" in refused(installation, str(file))[0]
    assert entries(installation) == 0


def test_a_merged_balance_is_refused_and_the_sheet_that_is_read_is_named(installation: Installation) -> None:
    file = installation.config.with_name("customers.xlsx")

    def write(merged: str) -> None:
        with xlsxwriter.Workbook(file) as book:
            book.add_worksheet("Old").hide()
            page = book.add_worksheet("Customers")
            page.activate()
            for row, line in enumerate((HEADER, SOUTH, SOUTH.replace("south", "east"))):
                page.write_row(row, 0, line.strip().split(","))
            page.merge_range(merged, 100)

    write("C2:C3")
    expected = "expected a cell of its own in each row and column, not a merged one"
    assert refused(installation, str(file)) == [f"{file}:3: Balance: value '100': {expected}"]
    write("L2:L3")
    said = installation.vosd("definitions", "import", str(file), "--map", str(EXAMPLE)).stderr
    assert "assumed: sheet 'Customers': the first visible one of 2 sheets" in said


@pytest.mark.parametrize(("is_workbook", "decimal"), [(True, "."), (True, ","), (False, "."), (False, ",")])
def test_a_balance_that_a_spreadsheet_has_computed_is_what_it_shows(
    installation: Installation, is_workbook: bool, decimal: str
) -> None:
    map_ = changed_map(installation, 'decimal: "."', f'decimal: "{decimal}"')
    written, debt = "234.55999999999995", "-0.30000000000000004"
    rows = [NORTH.replace("1250.5", written), SOUTH.replace("-20", debt)]
    if is_workbook:
        path = installation.config.with_name("customers.xlsx")
        cells = [row.strip().split(",") for row in (HEADER, *rows)]
        file = str(xlsx(path, [[Decimal(each) if each in {written, debt} else each for each in row] for row in cells]))
    else:
        text = "".join((HEADER, *rows)).replace(",", "\t")
        for each in (written, debt):
            text = text.replace(each, each.replace(".", decimal))
        file = sheet(installation, text)
    said = installation.vosd("definitions", "import", file, "--map", map_, "--dry-run").stderr
    assert f"assumed: line 2, Balance '{written}': 234.56, the 15 digits that a spreadsheet shows" in said
    assert [each["amount"] for each in imported(installation, file, map_=map_)["balances"]] == ["234.56", "-0.30"]


def test_points_that_separate_no_thousands_are_refused_with_a_decimal_comma(installation: Installation) -> None:
    file = sheet(installation, HEADER, NORTH.replace(",100,", ",99.50,"))
    said = sorted(refused(installation, file, changed_map(installation, 'decimal: "."', 'decimal: ","')))
    expected = "expected an amount with a decimal comma, such as 1.234,50"
    assert said[0].replace(file, "F").startswith(f"F:2: Balance: value '1250.5': {expected}")
    assert said[1].replace(file, "F").startswith(f"F:2: Overdraft limit: value '99.50': {expected}")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    max_concurrent: Line", "    lineLimit: Line", "'lineLimit'; did you mean 'max_concurrent'?"),
        ("    id: Account ID\n", "", "a column for id, the name of each object"),
        (
            "    max_concurrent: Line",
            "    auth.username: Balance\n    auth: Line",
            "either 'auth.username' or 'auth': ",
        ),
        ("amount: Balance", "amount: Blance", "one column 'Blance', as the map says; did you mean 'Balance'?"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(installation: Installation, old: str, new: str, said: str) -> None:
    assert said in refused(installation, sheet(installation, HEADER), changed_map(installation, old, new))[0]


def test_phones_get_keys_inside_of_keys_and_an_unread_column_is_named(installation: Installation) -> None:
    map_ = installation.config.with_name("phones.yaml")
    map_.write_text(
        "phones: {columns: {number: Phone, account: Owner, password: Secret, session_timer.enabled: Timer}}\n"
    )
    file = sheet(installation, "Phone;Owner;Secret;Timer;Note\n7001;customer-1;Xy_1-long-enough;no;hi\n")
    imported(installation, file, map_=str(map_))
    shown = installation.document("definitions", "show", "phones", "7001", "--secrets")["keys"]
    assert (shown["session_timer"], shown["password"]) == ({"enabled": "no"}, "Xy_1-long-enough")
    said = installation.vosd("definitions", "import", file, "--map", str(map_), "--dry-run").stderr
    assert "columns that the map does not name: Note" in said


def test_balances_cannot_be_planned(installation: Installation) -> None:
    file = sheet(installation, HEADER, NORTH)
    said = installation.vosd("definitions", "import", file, "--map", str(EXAMPLE), "--at", "2099-01-01T00:00:00Z")
    assert (said.exit_code, "--at is not for balances" in said.stderr) == (2, True)
