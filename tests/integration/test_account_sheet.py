"""``vosd account show``: name, contact, memo, and what the calls of the day and the month have cost."""

import shutil
import time
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data.records import answered_call
from doubles.installation import Installation


@pytest.fixture
def installation(tmp_path: Path, migrated: Path) -> Installation:
    installation = Installation(tmp_path)
    shutil.copy(migrated, installation.database)
    text = installation.config.read_text()
    described = 'id: customer-1, name: "Acme Ltd", contact: "noc@acme.example, +49 30 1234", memo: "pays on the 15th",'
    installation.config.write_text(text.replace("id: customer-1,", described))
    return installation


def test_an_account_has_a_name_a_contact_and_a_memo(installation: Installation) -> None:
    shown = installation.document("account", "show", "customer-1")
    assert (shown["name"], shown["contact"]) == ("Acme Ltd", "noc@acme.example, +49 30 1234")
    assert shown["memo"] == "pays on the 15th"
    assert "name" not in installation.document("account", "show", "vendor-1")
    assert installation.document("account", "list")[0]["name"] == "Acme Ltd"


def test_the_gateways_and_phones_of_an_account_are_counted_where_that_is_asked_for(installation: Installation) -> None:
    phones = "".join(f'  - {{number: "{number}", account: customer-1, password: secret}}\n' for number in (7001, 7002))
    installation.config.write_text(f"{installation.config.read_text()}\nphones:\n{phones}")
    shown = {each["id"]: each for each in installation.document("account", "list", "--counts")}
    counts = {name: (each["gateways"], each["phones"]) for name, each in shown.items()}
    assert counts["customer-1"] == (1, 2)
    assert counts["vendor-1"] == (1, 0)
    of_one = installation.document("account", "show", "customer-1", "--counts")
    assert (of_one["gateways"], of_one["phones"]) == (1, 2)
    assert "phones" not in installation.document("account", "show", "customer-1")
    assert "phones" in installation.vosd("account", "list", "--counts").stdout.splitlines()[0]


def test_what_calls_cost_today_and_this_month_is_shown_without_tax(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns() // 1_000_000
    monkeypatch.setattr("vosd.wiring.office.now_ms", lambda: now)  # a day may end behind the booking
    parties = {"customer_account": "customer-1", "vendor_account": "vendor-1"}
    records = [
        answered_call(1, **parties, ended_at=now, fee=Decimal("1.20"), tax=Decimal("0.24")),
        answered_call(2, **parties, ended_at=now - 40 * 86_400_000, fee=Decimal(7)),
    ]
    installation.book(records)
    shown = installation.document("account", "show", "customer-1", "--consumption")
    assert (shown["consumed_today"], shown["consumed_month"]) == ("1.20", "1.20")
    assert "consumed_today" not in installation.document("account", "show", "customer-1")
