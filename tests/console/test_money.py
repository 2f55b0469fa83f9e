"""Money: payments and their confirmation, transfers, files of payments, invoices, vendors' bills, closes."""

import asyncio
import gzip
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from threading import Thread
from typing import Any, Final
from urllib.parse import quote

import pytest
from api.test_both_fronts import BILLING, book_calls_of_february
from api.watched import Watched
from doubles.postbox import Postbox
from doubles.process.mariadb import MariaDb
from e2e.conversation import conversing
from playwright.sync_api import FilePayload, Locator, Page, Request, Route, expect

from console.conftest import (
    NARROW,
    TIME_PASSES,
    Visit,
    Visitor,
    cut_cells,
    fits_a_telephone,
    lose_the_answer,
    route_once,
    running_site,
    violations,
)
from console.made_answers import made_page, made_problem
from console.test_screens import rows

MAIL: Final = """
alarms:
  cpu: 0
  mail: {{server: 127.0.0.1, port: {port}, security: none, sender: vosd@example.com, recipients: noc@example.com,
    level: critical}}
"""
BROWSER_ZONE: Final = "Asia/Shanghai"
"""Eight hours before the books."""


@pytest.fixture(scope="module")
def postbox() -> Iterator[Postbox]:
    """Return a mail server, on a loop in a thread of its own."""
    server = Postbox(("ehlo", "mail from:<vosd@example.com>", "rcpt to:<books@example.com>", "data"))
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.listen(), loop).result()
    yield server
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert server.faults == []


@pytest.fixture(scope="module")
def site(postbox: Postbox, tmp_path_factory: pytest.TempPathFactory, mariadb_server: MariaDb) -> Iterator[Watched]:
    """Return a switch on MariaDB that has a mail server; acme has calls of February 2026, and rival of January.


    That of rival ended when it was February in the zone of the browser.
    """
    directory = tmp_path_factory.mktemp("console")
    url = mariadb_server.create_database(directory.name)
    with running_site(directory, BILLING + MAIL.format(port=postbox.port), url) as installation:
        with ThreadPoolExecutor(1) as thread:  # the browser's own loop runs in this one
            thread.submit(book_calls_of_february, url, "acme").result()
            late = int(datetime(2026, 1, 31, 20, tzinfo=UTC).timestamp()) * 1_000
            same_vendor = 7  # the number of a call says which of seven it is
            thread.submit(book_calls_of_february, url, "rival", begun=late, first=same_vendor).result()
        yield installation


def balance(site: Watched, account: str) -> Decimal:
    return Decimal(site.api.ask("GET", f"/accounts/{account}/balance").json["balance"])


def pay(site: Watched, account: str, reference: str) -> None:
    """Book more than the transfers of one test take: an account without money has none to move."""
    payment = {"amount": "100", "reference": reference}
    assert site.api.ask("POST", f"/accounts/{account}/payments", payment).status == 201


def confirmed(page: Page, act: str, said: str) -> None:
    """Answer the question that the button asks, and wait for the words about what was done."""
    page.get_by_role("button", name=act, exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=act, exact=True).click()
    page.get_by_role("status").filter(has_text=said).first.wait_for()


def test_a_large_payment_waits_for_a_second_person(site: Watched, boss: Visitor) -> None:
    before = balance(site, "rival")
    asked = {"amount": "5000", "memo": "bank", "reference": "b-17"}
    assert site.api.ask("POST", "/accounts/rival/payments", asked).json["waiting"]["amount"] == "5000.00"
    page = boss.go("/payments?tab=waiting", "Payments")
    expect(page.get_by_label("Waiting for a second person").locator("tbody tr")).to_have_count(1)
    assert violations(page) == []
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("dialog")).to_contain_text("Book 5\u202f000.00 USD on rival?")
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    page.get_by_text("rival: booked 5\u202f000.00").wait_for()
    assert balance(site, "rival") == before + 5000
    expect(page.get_by_label("Waiting for a second person").locator("tbody tr")).to_have_count(0)
    page = boss.go("/payments?account=rival", "Payments")
    expect(page.get_by_label("Booked", exact=True).locator("tbody tr").filter(has_text="b-17")).to_have_count(1)


def test_the_second_person_is_asked_for_what_will_be_booked(site: Watched, boss: Visitor) -> None:
    pay(site, "rival", "for a second person")
    route_once(boss.page, "**/api/v1/waiting-payments?*", lambda route: route.fulfill(json=waiting(route.request)))
    page = boss.go("/payments?tab=waiting", "Payments")
    listed = page.get_by_label("Waiting for a second person")
    for account, asked in (("rival", "Move 70.00 USD from rival to other?"), ("acme", "Pay 66.00 USD back to acme?")):
        listed.get_by_role("row").filter(has_text=account).get_by_role("button", name="Confirm").click()
        dialog = page.get_by_role("dialog", name=asked)
        dialog.get_by_role("button", name="Cancel").click()
        expect(dialog).to_have_count(0)
    listed.get_by_role("row").filter(has_text="rival").get_by_role("button", name="Refuse").click()
    page.get_by_role("dialog", name="Refuse to move 70.00 USD from rival to other?").wait_for()


def test_a_payment_that_a_colleague_has_refused_meanwhile_goes_from_the_list(site: Watched, boss: Visitor) -> None:
    asked = site.api.ask("POST", "/accounts/rival/payments", {"amount": "6000", "reference": "b-18"}).json["waiting"]
    page = boss.go("/payments?tab=waiting", "Payments")
    row = page.get_by_label("Waiting for a second person").get_by_role("row").filter(has_text="b-18")
    row.get_by_role("button", name="Confirm").click()
    assert site.api.ask("POST", f"/waiting-payments/{asked['id']}/refusal", {}).status == 200
    page.get_by_role("dialog").get_by_role("button", name="Confirm").click()
    page.get_by_role("dialog").get_by_role("alert").wait_for()
    expect(row).to_have_count(0)


def waiting(request: Request) -> dict[str, Any]:
    """Return a transfer and a refund that wait."""
    transfer = {"id": 2, "account": "rival", "target": "other", "type": "transfer", "amount": "70.00"}
    refund = {"id": 3, "account": "acme", "target": None, "type": "refund", "amount": "-66.00"}
    return made_page(request, [each | {"currency": "USD"} for each in (transfer, refund)])


def test_a_payment_that_was_booked_by_mistake_is_taken_back_once_from_its_row(site: Watched, boss: Visitor) -> None:
    ends = "2126-03-01T00:00:00.000Z"
    keys = {"currency": "USD", "rate_group": "sell", "expires_at": ends, "payment_extends_days": "30"}
    assert site.api.ask("POST", "/accounts", {"name": "expiring", "keys": keys}).status == 201

    def expiry() -> object:
        return site.api.ask("GET", "/accounts/expiring/balance").json["expires_at"]

    for sum_, reference in (("7.50", "right"), ("900.25", "wrong")):
        site.api.ask("POST", "/accounts/expiring/payments", {"amount": sum_, "reference": reference})
    assert expiry() == "2126-04-30T00:00:00.000Z"
    page = boss.go("/payments?account=expiring", "Payments")
    row = page.get_by_label("Booked", exact=True).get_by_role("row").filter(has_text="wrong")
    row.get_by_role("button", name="Take back").click()
    asked = page.get_by_role("dialog", name="Take back 900.25 USD on expiring?")
    asked.get_by_text("The balance is 907.75 now, and 7.50 then.").wait_for()
    expect(asked).to_contain_text("-900.25 USD is booked")
    assert violations(page) == []
    asked.get_by_label("Memo").fill("of another customer")
    asked.get_by_role("button", name="Take back").click()
    page.get_by_text("expiring: booked -900.25 USD, the balance is 7.50 USD; the account is valid until").wait_for()
    row.get_by_text("taken back", exact=True).wait_for()
    assert (balance(site, "expiring"), expiry()) == (Decimal("7.50"), "2126-03-31T00:00:00.000Z")
    newest = rows(page, "Booked")[0]
    assert "takes back payment wrong: of another customer" in newest
    assert "Take back" not in newest
    page = boss.go("/payments?account=expiring&operator=administrator", "Payments")
    row.get_by_text("taken back", exact=True).wait_for()  # though the page does not show by which entry
    assert not any("takes back" in each for each in rows(page, "Booked"))
    page = boss.go("/accounts/expiring", "expiring")
    entries = page.get_by_label("Last entries of the ledger").get_by_role("row")
    expect(entries.get_by_role("button", name="Take back")).to_have_count(1)  # of the right one
    entries.get_by_role("button", name="Take back").click()
    asked = page.get_by_role("dialog", name="Take back 7.50 USD on expiring?")
    asked.get_by_label("Memo").fill("of another one, too")
    site.api.ask("POST", "/accounts/expiring/payments", {"amount": "1", "reference": "meanwhile"})
    page.evaluate(TIME_PASSES)
    page.evaluate("dispatchEvent(new Event('visibilitychange'))")
    entries.filter(has_text="meanwhile").wait_for()
    expect(asked.get_by_label("Memo")).to_have_value("of another one, too")
    route_once(page, "**/undo", lambda route: route.abort())
    asked.get_by_role("button", name="Take back").click()
    asked.get_by_role("alert").wait_for()
    asked.get_by_role("button", name="Take back").click()
    page.get_by_text("expiring: booked -7.50 USD, the balance is 1.00 USD").wait_for()


def test_money_is_moved_between_accounts(site: Watched, boss: Visitor) -> None:
    pay(site, "rival", "moved")
    before = balance(site, "rival"), balance(site, "other")
    page = boss.go("/payments?tab=transfer", "Payments")
    for field, value in (("From account", "rival"), ("To account", "other"), ("Amount", "12.345678")):
        page.get_by_label(field).fill(value)
    page.get_by_role("tab", name="Booked").click()
    page.get_by_role("tab", name="Transfer").click()
    expect(page.get_by_label("Amount")).to_have_value("12.345678")
    page.get_by_role("link", name="Invoices").click()
    page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Stay here").click()

    def escape_and_lose(route: Route) -> None:
        route.fetch()
        page.keyboard.press("Escape")  # a question stays while its order is at work
        route.abort()

    route_once(page, "**/api/v1/transfers", escape_and_lose)
    page.get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_role("dialog").get_by_role("alert").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_label("Amount").fill("12.345679012")  # another one is tried, and refused
    page.get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_role("dialog").get_by_role("alert").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_label("Amount").fill("12.345678")
    confirmed(page, "Transfer", "other: booked 12.345678")  # once, though it was ordered twice
    assert (balance(site, "rival"), balance(site, "other")) == (
        before[0] - Decimal("12.345678"),
        before[1] + Decimal("12.345678"),
    )
    route_once(page, "**/api/v1/payments/*/undo", escape_and_lose)
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("alert").wait_for()
    page.get_by_role("button", name="Undo").click()  # moves the money back once, though it was asked for twice
    page.get_by_text("rival: booked 12.345678").wait_for()
    assert (balance(site, "rival"), balance(site, "other")) == before
    page = boss.go("/payments?account=rival", "Payments")
    booked = page.get_by_label("Booked", exact=True).get_by_role("row").filter(has_text="12.345678")
    expect(booked).to_have_count(2)
    expect(booked.get_by_role("button", name="Take back")).to_have_count(0)  # what is undone cannot be undone again
    expect(booked.get_by_text("taken back", exact=True)).to_have_count(1)


def test_a_transfer_of_the_page_of_an_account_is_undone_as_a_whole(site: Watched, boss: Visitor) -> None:
    pay(site, "rival", "undone")
    before = balance(site, "rival"), balance(site, "other")
    page = boss.go("/accounts/rival", "rival")
    page.get_by_role("button", name="Transfer", exact=True).click()
    asked = page.get_by_role("dialog")
    asked.get_by_label("To the account").fill("other")
    asked.get_by_label("Amount in USD").fill("0.63")
    asked.get_by_label("Memo").fill("undone soon")
    asked.get_by_role("button", name="Continue").click()
    asked.get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_role("status").filter(has_text="0.63 USD").get_by_role("button", name="Undo").click()
    page.get_by_text("rival: booked 0.63").wait_for()
    assert (balance(site, "rival"), balance(site, "other")) == before
    page = boss.go("/payments?account=other", "Payments")
    booked = page.get_by_label("Booked", exact=True).get_by_role("row").filter(has_text="undone soon")
    expect(booked.filter(has_text="from rival").get_by_text("taken back", exact=True)).to_have_count(1)


def test_an_agent_moves_its_money_to_customers_of_its_currency_alone(site: Watched, visit: Visit) -> None:
    keys = {
        "dealer": {"currency": "USD", "overdraft_limit": "10", "rights": ["sub_payments"]},
        "abroad": {"currency": "EUR", "agent": "dealer"},
        "nearby": {"currency": "USD", "agent": "dealer"},
    }
    for name, of_account in keys.items():
        made = site.api.ask("PUT", f"/accounts/{name}", {"keys": of_account})
        assert made.status == 200, made.content
    dealer = visit("agent", "dealer")
    page = dealer.go("/accounts/nearby", "nearby")
    page.get_by_role("button", name="Transfer", exact=True).click()
    asked = page.get_by_role("dialog")
    expect(asked.get_by_label("To the account")).to_have_value("nearby")
    asked.get_by_label("Amount in USD").fill("0.25")
    asked.get_by_role("button", name="Continue").click()
    expect(asked).to_contain_text("Move 0.25 USD from dealer to nearby?")
    asked.get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_role("status").filter(has_text="0.25 USD moved to nearby").wait_for()
    dealer.turn("/accounts/abroad", "abroad")
    page.get_by_role("button", name="Credit", exact=True).wait_for()
    for act in ("Transfer", "Book a payment"):
        expect(page.get_by_role("button", name=act, exact=True)).to_have_count(0)


def test_a_transfer_is_ordered_by_the_keyboard_and_the_form_of_its_amount_is_said(site: Watched, boss: Visitor) -> None:
    pay(site, "rival", "typed")
    page = boss.go("/payments?tab=transfer", "Payments")
    amount = page.get_by_label("Amount")
    page.get_by_label("From account").fill("rival")
    for wrong in ("1,5", "1.", "\uff11\uff12"):
        amount.fill(wrong)
        page.get_by_label("To account").fill("other")
        page.keyboard.press("Enter")
        assert amount.evaluate("field => field.validity.patternMismatch"), wrong
        expect(amount).to_be_focused()  # with the words of the browser, which end with the title
        expect(amount).to_have_attribute("title", "Digits, with a dot before decimals: 10.50")
        expect(page.get_by_role("dialog")).to_have_count(0)
    amount.fill("0.41")
    page.keyboard.press("Enter")
    asked = page.get_by_role("dialog", name="Move 0.41 from rival to other?")
    expect(asked).to_contain_text("The money of rival is in USD.")
    asked.get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_role("status").filter(has_text="other: booked 0.41").first.wait_for()
    expect(asked).to_have_count(0)
    expect(amount).to_be_focused()
    expect(amount).to_have_value("")
    assert violations(page) == []


def test_a_credit_without_bound_is_said_without_a_currency(site: Watched, boss: Visitor) -> None:
    page = boss.go("/accounts/other", "other")
    page.get_by_role("button", name="Credit", exact=True).click()
    page.get_by_role("dialog").get_by_label("Overdraft limit in USD, or unlimited").fill("unlimited")
    page.get_by_role("dialog").get_by_label("Until (empty").fill("2099-01-01T00:00")
    page.get_by_role("dialog").get_by_role("button", name="Continue").click()
    asked = page.get_by_role("dialog", name="Overdraft limit of other: unlimited?", exact=True)
    expect(asked).to_contain_text("until 2099-01-01 00:00:00, or until it is cleared")
    asked.get_by_role("button", name="Credit", exact=True).click()
    done = page.get_by_role("status").filter(has_text="The overdraft limit is unlimited")
    expect(done).not_to_contain_text("USD")
    done.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone").wait_for()


def test_a_name_that_is_written_from_the_right_stays_apart_from_the_amount_behind_it(
    site: Watched, boss: Visitor
) -> None:
    name = "شركة 7"
    keys = {"rate_group": "sell", "currency": "USD"}
    assert site.api.ask("PUT", f"/accounts/{quote(name)}", {"keys": keys}).status in {200, 201}
    page = boss.go(f"/accounts/{quote(name)}", name)
    page.get_by_role("button", name="Credit", exact=True).click()
    page.get_by_role("dialog").get_by_label("Overdraft limit in USD, or unlimited").fill("500")
    page.get_by_role("dialog").get_by_role("button", name="Continue").click()
    title = page.get_by_role("dialog").get_by_role("heading", level=2)
    expect(title).to_have_text(f"Overdraft limit of \u2068{name}\u2069: 500 USD?")
    page.get_by_role("dialog").get_by_role("button", name="Credit", exact=True).click()
    page.get_by_role("status").filter(has_text="The overdraft limit is 500 USD").get_by_role(
        "button", name="Undo"
    ).click()
    page.get_by_text("Undone").wait_for()
    assert site.api.ask("DELETE", f"/accounts/{quote(name)}?confirm=true").status == 200


def test_a_customer_reads_a_word_for_the_operator_of_its_payments(site: Watched, visit: Visit) -> None:
    pay(site, "rival", "by an operator")
    page = visit("customer", "rival", language="zh").go("/payments")
    expect(page.locator("main tbody tr", has_text="by an operator")).to_contain_text("\u8fd0\u8425\u4eba\u5458")


def test_a_transfer_whose_answer_was_lost_is_not_made_again_with_another_memo(site: Watched, boss: Visitor) -> None:
    pay(site, "rival", "lost")
    before = balance(site, "other")
    page = boss.go("/payments?tab=transfer", "Payments")
    for field, value in (("From account", "rival"), ("To account", "other"), ("Amount", "1.11"), ("Memo", "first")):
        page.get_by_label(field).fill(value)

    route_once(page, "**/api/v1/transfers", lose_the_answer)
    page.get_by_role("button", name="Transfer", exact=True).click()
    asked = page.get_by_role("dialog")
    asked.get_by_role("button", name="Transfer", exact=True).click()
    asked.get_by_text("It may have been carried out all the same").wait_for()
    asked.get_by_role("button", name="Cancel").click()
    page.get_by_label("Memo").fill("second")
    page.get_by_role("button", name="Transfer", exact=True).click()
    asked.get_by_role("button", name="Transfer", exact=True).click()
    asked.get_by_text("The order before, whose answer was lost, was carried out; nothing was done now").wait_for()
    assert balance(site, "other") == before + Decimal("1.11")
    assert violations(page) == []
    asked.get_by_role("button", name="Transfer", exact=True).click()  # what is ordered by now is another one
    page.get_by_role("status").filter(has_text="other: booked 1.11").first.wait_for()
    assert balance(site, "other") == before + Decimal("2.22")


def test_a_transfer_is_taken_back_in_the_row_of_either_account(site: Watched, boss: Visitor) -> None:
    pay(site, "rival", "slipped")
    before = balance(site, "rival"), balance(site, "other")
    slip = {"source": "rival", "target": "other", "amount": "3", "memo": "a slip"}
    assert site.api.ask("POST", "/transfers", slip).status == 201
    page = boss.go("/payments?account=other", "Payments")
    row = page.get_by_label("Booked", exact=True).get_by_role("row").filter(has_text="a slip")
    row.get_by_role("button", name="Take back").click()
    asked = page.get_by_role("dialog", name="Take back 3.00 USD on other?")
    asked.get_by_text("Both entries of the transfer are booked in reverse").wait_for()
    asked.get_by_role("button", name="Take back").click()
    page.get_by_text("other: booked -3.00").wait_for()
    row.get_by_text("taken back", exact=True).wait_for()
    assert (balance(site, "rival"), balance(site, "other")) == before
    page = boss.go("/payments?account=rival", "Payments")
    row = page.get_by_label("Booked", exact=True).get_by_role("row").filter(has_text="a slip")
    row.get_by_text("taken back", exact=True).wait_for()


def test_a_file_of_payments_is_booked_once_however_often(site: Watched, boss: Visitor) -> None:
    before = balance(site, "other")
    page = boss.go("/payments?tab=file", "Payments")

    def chosen(text: str, encoding: str = "utf-8") -> None:
        file = {"name": "bank.csv", "mimeType": "text/csv", "buffer": text.encode(encoding)}
        page.locator("input[type=file]").set_input_files(file)

    chosen("account,amount,reference,memo\nother,1.50,f-1,\nother,1,234.50,f-2\n,3,f-3,\n")
    said = page.get_by_role("alert").filter(has_text="This file is not booked")
    said.get_by_text("line 3: is 1,234.50 one amount?").wait_for()
    said.get_by_text("line 4: no account").wait_for()
    chosen("account;amount;reference\nother;50;K\u00f6ln 11\n", "cp1252")
    said.get_by_text("line 2: characters that cannot be read: save the file as UTF-8").wait_for()
    expect(page.get_by_role("button", name="Book 0 payments")).to_be_disabled()
    chosen("PK\x03\x04\x14\x00[Content_Types].xml")
    said.get_by_text("the file is no text in UTF-8, but a workbook or another one: save it as CSV UTF-8").wait_for()
    chosen("sep=;\naccount;amount;reference\nother;1,50;f-1\n")
    said.get_by_text("line 3: '1,50' is not an amount").wait_for()
    chosen("account,amount,reference\nother,1.50,f-1\nunknown,2,f-2\n")
    said.get_by_text("line 3: no account 'unknown' is configured").wait_for()
    expect(page.get_by_role("button", name="Book 0 payments")).to_be_disabled()
    chosen("account,amount,reference\nother,1.50,f-1\nrival,2,f-2\n")
    expect(said).to_have_count(0)
    with page.expect_file_chooser():
        page.get_by_role("button", name="File of payments").click()
    # else the browser would not tell of a mended file of the same name
    expect(page.locator("input[type=file]")).to_have_value("")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    route_once(page, "**/accounts/other/payments", hold)
    route_once(page, "**/accounts/rival/payments", hold)
    page.get_by_role("button", name="Book 2 payments").click()
    asked = page.get_by_role("dialog", name="Book 2 payments, 3.50 USD?")
    with page.expect_request("**/accounts/other/payments"):
        asked.get_by_role("button", name="Book 2 payments").press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Book 2 payments")).to_be_focused()
    page.get_by_role("button", name="Stop").wait_for()
    page.keyboard.press("Enter")  # once more by mistake: it neither stops nor asks
    expect(page.get_by_role("dialog")).to_have_count(0)
    with page.expect_request("**/accounts/rival/payments"):
        held[0].continue_()
    page.get_by_label("File of payments").get_by_text("booked 1.50").wait_for()
    page.get_by_text("1 of 2", exact=True).wait_for()
    page.get_by_role("link", name="Invoices").click()
    left = page.get_by_role("dialog", name="Leave before the file is booked?")
    left.get_by_text("1 of 2 payments have an outcome. The rest is not booked when you leave").wait_for()
    left.get_by_role("button", name="Stay here").click()
    expect(left).to_have_count(0)
    assert violations(page) == []
    assert page.evaluate("() => !window.dispatchEvent(new Event('beforeunload', { cancelable: true }))")
    held[1].continue_()
    page.get_by_role("status").filter(has_text="2 of 2 payments were booked now").wait_for()
    assert page.evaluate("() => window.dispatchEvent(new Event('beforeunload', { cancelable: true }))")
    confirmed(page, "Book 2 payments", "0 of 2 payments were booked now")
    assert balance(site, "other") == before + Decimal("1.50")
    memo = "remittance information of the bank that says more than fits into a line of the table"
    chosen(f"account,amount,reference,memo\nother,2,f-3,{memo}\nother,1.50,f-1,\n")
    route_once(page, "**/accounts/other/payments", lose_the_answer)
    lost = "The switch does not answer; it may be booked all the same"
    confirmed(
        page, "Book 2 payments", f"0 of 2 payments were booked now. It ended at line 2: {lost}. Book the file again"
    )
    outcomes = page.get_by_label("File of payments").locator("tbody tr td:last-child")
    expect(outcomes).to_have_text([lost, ""])
    confirmed(page, "Book 2 payments", "0 of 2 payments were booked now")
    expect(outcomes).to_have_text([re.compile("booked before"), re.compile("booked before")])
    assert balance(site, "other") == before + Decimal("3.50")
    chosen("account,amount,reference\nother,2.50,f-3\n")
    said_of_file = page.get_by_role("alert").filter(has_text="This file is not booked")
    said_of_file.get_by_text("line 2: reference f-3 of account other was booked for 2.00, not 2.50").wait_for()
    chosen(f"account,amount,reference,memo\nother,1.50,f-1,\nother,2,f-3,{memo}\n")
    page.get_by_label("File of payments").get_by_text("f-3", exact=True).wait_for()
    assert violations(page) == []
    assert cut_cells(page) == []
    chosen("account,amount,reference,memo\n" + "".join(f"other,1,g-{each},{memo}\n" for each in range(300)))
    route_once(page, "**/accounts/other/payments", hold)
    page.get_by_role("button", name="Book 300 payments").click()
    with page.expect_request("**/accounts/other/payments"):
        page.get_by_role("dialog").get_by_role("button", name="Book 300 payments").click()
    page.get_by_role("button", name="Stop").click()
    held[2].continue_()
    page.get_by_role("status").filter(has_text="1 of 300 payments were booked now").wait_for()
    assert balance(site, "other") == before + Decimal("4.50")
    page.get_by_label("File of payments").get_by_text("g-0", exact=True).click()
    page.keyboard.press("End")
    expect(page.locator("tr:focus")).to_contain_text("g-299")
    page.wait_for_function(
        "() => { const [row, frame] = ['tr:focus', 'section:has(tr:focus)'].map(each =>"
        " document.querySelector(each).getBoundingClientRect());"
        " return row.top >= frame.top && row.bottom <= frame.bottom + 1; }"
    )
    assert len({each.bounding_box()["y"] for each in page.locator("tr[tabindex]").all()[-3:]}) == 3  # type: ignore[index]
    page.locator("section:has(tr:focus)").evaluate("each => { each.scrollTop = 0; }")
    expect(page.locator("section:focus")).to_have_count(1)  # the row is not drawn any more
    page.keyboard.press("ArrowUp")
    expect(page.locator("tr:focus")).to_contain_text("g-298")


def test_a_file_of_payments_that_was_saved_while_it_was_chosen_is_to_be_chosen_again(newcomer: Visit) -> None:
    """The browser's own sentence stood there."""
    page = newcomer().go("/payments?tab=file", "Payments")
    page.evaluate(
        "() => { Blob.prototype.arrayBuffer = Blob.prototype.text ="
        " () => Promise.reject(new DOMException('The requested file could not be read', 'NotReadableError')); }"
    )
    file = {"name": "bank.csv", "mimeType": "text/csv", "buffer": b"account,amount,reference\nrival,1,g-1\n"}
    page.locator("input[type=file]").set_input_files(file)
    said = page.get_by_role("alert")
    expect(said).to_contain_text("bank.csv was changed, moved or deleted after it was chosen: nothing was sent")
    expect(said).to_contain_text("Choose it again")


def test_a_file_of_payments_says_what_was_booked_before_the_session_ended(newcomer: Visit) -> None:
    page = newcomer().go("/payments?tab=file", "Payments")
    payments = b"account,amount,reference\nrival,1,g-1\nother,2,g-2\nrival,3,g-3\n"
    file = {"name": "bank.csv", "mimeType": "text/csv", "buffer": payments}
    readings: list[Route] = []

    def hold(route: Route) -> None:
        readings.append(route)

    page.route("**/api/v1/payment-files", hold)
    with page.expect_request("**/api/v1/payment-files"):  # the page says that it reads before it asks
        page.locator("input[type=file]").set_input_files(file)
    expect(page.get_by_role("status").filter(has_text="The file is read")).to_be_visible()
    readings[0].continue_()
    expect(page.get_by_role("status").filter(has_text="The file is read")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/payments") else None)

    def end_the_session(route: Route) -> None:
        page.context.clear_cookies()
        route.fulfill(status=401, json=made_problem(HTTPStatus.UNAUTHORIZED, "unauthorized", "there is no session"))

    page.route("**/accounts/other/payments", end_the_session)
    page.get_by_role("button", name="Book 3 payments").click()
    page.get_by_role("dialog").get_by_role("button", name="Book 3 payments").click()
    page.get_by_role("dialog", name="Log in").wait_for()
    assert "booked 1" in (page.locator("main").text_content() or "")
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (HTTPStatus.FORBIDDEN, "permission_lacking"),
        (HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests"),
        (HTTPStatus.SERVICE_UNAVAILABLE, "store_unavailable"),
    ],
)
def test_a_file_of_payments_ends_where_each_would_be_refused(boss: Visitor, status: HTTPStatus, code: str) -> None:
    page = boss.go("/payments?tab=file", "Payments")
    payments = b"account,amount,reference\nrival,1,k-1\nother,2,k-2\nrival,3,k-3\n"
    page.locator("input[type=file]").set_input_files({"name": "bank.csv", "mimeType": "text/csv", "buffer": payments})
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=status, json=made_problem(status, code, "this is refused"))

    page.route("**/accounts/*/payments", refuse)
    ended = "0 of 3 payments were booked now. It ended at line 2: this is refused. Book the file again"
    confirmed(page, "Book 3 payments", ended)
    outcomes = page.get_by_label("File of payments").locator("tbody tr td:last-child")
    expect(outcomes).to_have_text(["this is refused", "", ""])
    assert len(asked) == 1


def test_a_file_of_payments_of_an_agent_names_no_command_of_the_switch(boss: Visitor, visit: Visit) -> None:
    refund = {"name": "bank.csv", "mimeType": "text/csv", "buffer": b"account,amount,reference\nacme,-1,h-1\n"}
    for visitor, advice in ((boss, " (vosd payment add --type)"), (visit("agent", "reseller"), "")):
        page = visitor.go("/payments?tab=file", "Payments")
        page.locator("input[type=file]").set_input_files(refund)
        said = page.get_by_role("alert").filter(has_text="This file is not booked").get_by_role("listitem")
        expect(said).to_have_text(f"line 2: -1.00 is no payment: book a refund or an adjustment{advice}")


def issued_by_an_agent(route: Route) -> None:
    """Answer with invoices as if an agent had issued them."""
    answer = route.fetch()
    found = answer.json()
    for each in found.get("items", [found]):
        each["issuer"] = "reseller"
    route.fulfill(response=answer, json=found)


def fact(page: Page, name: str) -> Locator:
    """Return the value beside a name on a page of facts."""
    return page.locator("dt", has_text=name).locator("xpath=following-sibling::dd[1]")


def shows_another_account(page: Page, account: str) -> None:
    """Have the invoice of the page be of another account when it is read next, and read it."""
    route_once(
        page, "**/api/v1/invoices/*", lambda route: route.fulfill(json=route.fetch().json() | {"account": account})
    )
    page.reload()


def test_an_invoice_is_made_issued_mailed_paid_and_taken_back(
    site: Watched, postbox: Postbox, boss: Visitor, visit: Visit
) -> None:
    page = boss.go("/invoices", "Invoices")
    page.get_by_label("Period").first.fill("2026-02")
    page.get_by_label("Accounts (empty = all)").fill("acme")
    page.get_by_role("button", name="Make invoices").click()
    page.get_by_role("dialog", name="Make the invoices of 2026-02 for acme?").get_by_role(
        "button", name="Cancel"
    ).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_label("Accounts (empty = all)").fill("")
    page.get_by_role("button", name="Make invoices").click()
    of_all = page.get_by_role("dialog", name="Make the invoices of 2026-02 for all accounts?")
    of_all.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_label("Accounts (empty = all)").fill("acme")
    confirmed(page, "Make invoices", "1 invoices of 2026-02; 0 accounts without")
    expect(page.get_by_label("Accounts without an invoice of this run")).to_have_count(0)
    page.get_by_label("Period").first.fill("2026-03")
    page.get_by_label("Accounts (empty = all)").fill("acme, other")
    page.get_by_label("Begin with this period").check()
    page.get_by_role("button", name="Make invoices").click()
    route_once(page, "**/invoices/runs", lambda route: route.continue_())  # the browser tells its body of no other one
    with page.expect_request("**/invoices/runs") as ordered:
        dialog = page.get_by_role("dialog").filter(has_text="Charges before it stay in the opening balance")
        dialog.get_by_role("button", name="Make invoices").click()
    page.get_by_role("status").filter(has_text="0 invoices of 2026-03; 2 accounts without").first.wait_for()
    assert ordered.value.post_data_json["anew"] is True
    expect(page.get_by_label("Begin with this period")).not_to_be_checked()
    unmade = page.get_by_label("Accounts without an invoice of this run").locator("tbody tr")
    expect(unmade).to_contain_text(["nothing", "nothing"])
    missing = {"account": "acme", "outcome": "earlier missing", "detail": "charges of 2026-02-01 are on no invoice"}
    route_once(page, "**/jobs/*/result", lambda route: route.fulfill(json=[missing]))
    confirmed(page, "Make invoices", "0 invoices of 2026-03; 1 accounts without")
    expect(unmade).to_contain_text([re.compile("acme.*earlier missing.*charges of 2026-02-01 are on no invoice")])
    assert violations(page) == []
    page.get_by_role("link", name=re.compile("^Draft")).click()
    expect(page.get_by_label("Lines").locator("tbody tr")).to_have_count(1)
    shows_another_account(page, "50% off/on?")
    expect(page.get_by_role("link", name="50% off/on?")).to_have_attribute("href", "/accounts/50%25%20off%2Fon%3F")
    page.reload()
    page.get_by_role("main").get_by_role("link", name="acme").wait_for()
    assert violations(page) == []
    (draft,) = site.items("/invoices?account=acme")
    page.get_by_role("button", name="Issue").click()

    def made_again(route: Route) -> None:
        found = route.fetch()
        document = {**found.json()["document"], "net": "99.00"}
        route.fulfill(response=found, json={**found.json(), "document": document})

    route_once(page, f"**/api/v1/invoices/{draft['id']}", made_again)
    page.get_by_role("dialog").get_by_role("button", name="Issue").click()
    page.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    assert site.items("/invoices?account=acme")[0]["state"] == "draft"
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    confirmed(page, "Issue", "Issued as")
    (invoice,) = site.items("/invoices?account=acme")
    page.get_by_role("heading", level=1, name=invoice["number"]).wait_for()  # the draft's buttons are others
    with page.expect_download() as download:
        page.get_by_role("button", name="PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF")
    page.get_by_role("button", name="Mail", exact=True).click()
    page.get_by_role("dialog").get_by_label("To (empty").fill("books@example.com")
    page.get_by_role("dialog").get_by_role("button", name="Mail", exact=True).click()
    page.get_by_role("status").filter(has_text=f"{invoice['number']} was mailed").first.wait_for()
    mail = postbox.mails.get_nowait()
    assert (mail["To"], [each.get_content_type() for each in mail.iter_attachments()][:1]) == (
        "books@example.com", ["application/pdf"],
    )  # fmt: skip
    pays_part_and_loses_the_answer(page)
    asked = page.get_by_role("dialog")
    asked.get_by_label("Amount in").fill("0.002")  # the same again, though less is left to pay by now
    asked.get_by_role("button", name="Continue").click()
    asked.get_by_role("button", name="Book a payment").click()
    page.get_by_text("Nothing was done now: the same had been ordered before").wait_for()
    expect(fact(page, "Paid")).to_have_text("0.002 USD")
    page.get_by_role("button", name="Book a payment").click()
    page.get_by_role("dialog").get_by_role("button", name="Continue").click()
    whole = f"{Decimal(invoice['gross']) - Decimal('0.002')} {invoice['currency']}"
    asked = page.get_by_role("dialog", name=f"Book {whole}, what is not paid yet of {invoice['number']}?")
    other = site.api.ask("POST", f"/invoices/{invoice['id']}/payments", {"amount": "0.001", "reference": "meanwhile"})
    assert other.status == 200
    asked.get_by_role("button", name="Book a payment").click()
    page.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    page.keyboard.press("Escape")
    expect(fact(page, "Paid")).to_have_text("0.003 USD")
    page.get_by_role("button", name="Book a payment").click()
    page.get_by_role("dialog").get_by_role("button", name="Continue").click()
    rest = f"{Decimal(invoice['gross']) - Decimal('0.003')} {invoice['currency']}"
    asked = page.get_by_role("dialog", name=f"Book {rest}, what is not paid yet of {invoice['number']}?")
    asked.get_by_role("button", name="Book a payment").click()
    page.get_by_text(f"acme: booked {rest}").wait_for()
    assert site.items("/invoices?account=acme")[0]["state"] == "paid"
    confirmed(page, "Cancel the invoice", "The credit note is")
    page.get_by_role("link", name=re.compile("^C2026")).click()
    page.get_by_role("heading", level=1, name=re.compile("^C2026")).wait_for()
    page.get_by_role("link", name=invoice["number"], exact=True).click()
    page.get_by_role("heading", level=1, name=invoice["number"], exact=True).wait_for()
    assert {each["kind"] for each in site.items("/invoices?account=acme")} == {"invoice", "credit_note"}
    page = boss.turn(f"/found?q={invoice['number']}", invoice["number"])
    expect(page).to_have_url(f"{boss.base}/invoices/{invoice['id']}")
    page = boss.turn(f"/invoices?number={invoice['number']}", "Invoices")
    expect(page.get_by_label("Invoices", exact=True).locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("columnheader", name="Issued by")).to_have_count(0)
    route_once(page, "**/api/v1/invoices?*", issued_by_an_agent)
    page = boss.go(f"/invoices?number={invoice['number']}", "Invoices")
    expect(page.get_by_label("Invoices", exact=True).locator("tbody tr")).to_contain_text("reseller")
    route_once(page, f"**/api/v1/invoices/{invoice['id']}", issued_by_an_agent)
    page = boss.go(f"/invoices/{invoice['id']}", invoice["number"])
    expect(fact(page, "Issued by")).to_have_text(re.compile(r".+ \(reseller\)"))
    with page.expect_download() as download:
        page.get_by_role("button", name="PDF").click()
    assert download.value.suggested_filename == f"reseller-{invoice['number']}.pdf", "each issuer counts by itself"
    visit("customer", "rival").go(f"/found?q={invoice['number']}").get_by_text("Nothing has this number").wait_for()
    customer = visit("customer", "acme", NARROW)
    seen = customer.go("/invoices", "Invoices")
    seen.get_by_role("link", name=invoice["number"], exact=True).wait_for()
    expect(seen.get_by_role("button", name="Make invoices")).to_have_count(0)
    customer.turn(f"/found?q={invoice['number']}", invoice["number"])
    seen.get_by_role("button", name="PDF").wait_for()
    expect(seen.get_by_role("button", name="Issue")).to_have_count(0)
    assert seen.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


def pays_part_and_loses_the_answer(page: Page) -> None:
    """Book a part of an invoice; leave, without the answer, and open what asks for a payment again."""
    route_once(page, "**/invoices/*/payments", lose_the_answer)
    page.get_by_role("button", name="Book a payment").click()
    asked = page.get_by_role("dialog")
    asked.get_by_label("Amount in").fill("0.002")
    asked.get_by_role("button", name="Continue").click()
    asked.get_by_role("button", name="Book a payment").click()
    asked.get_by_text("It may have been carried out all the same").wait_for()
    expect(fact(page, "Paid")).to_have_text("0.002 USD")  # read again, for it may have been booked
    asked.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Leave").click()
    page.get_by_role("button", name="Book a payment").click()


def test_a_vendors_bill_is_compared_and_disputed(site: Watched, boss: Visitor, visit: Visit) -> None:
    with conversing(site.stage, "4410") as (conversation,):
        conversation.establish()
        conversation.hang_up()
        call = site.stage.record_of(conversation.callee)
    at = call["started_at"]

    def compared() -> list[dict[str, Any]]:
        return [each for each in site.items("/reconciliations") if each["file"] == "bill.csv"]

    file = f"Number,Start,Duration,Price\n{call['callee_in']},{at},1,0.05\n4499123,{at},60,0.70\n"
    page = boss.go("/bills", "Vendors' bills")
    bill_file: FilePayload = {"name": "bill.csv", "mimeType": "text/csv", "buffer": file.encode()}
    page.get_by_role("textbox", name="Vendor", exact=True).fill("vendors")
    page.locator("input[type=file]").set_input_files(bill_file)
    expect(page.get_by_role("combobox", name="Called number")).to_have_value("Number")
    page.get_by_label("Time zone").fill("UTC")
    page.get_by_label("From", exact=True).focus()
    page.keyboard.type("0301")  # and no year
    page.get_by_role("button", name="Compare").click()
    assert page.get_by_label("From", exact=True).evaluate("each => each.validity.badInput")
    assert compared() == []
    for field in ("From", "To"):
        page.get_by_label(field, exact=True).fill(at[:10])  # of UTC, as the times of the file, not of the browser
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", level=1, name="vendors bill.csv").wait_for()
    expect(page.get_by_label("Differences").locator("tbody tr")).to_have_count(2)
    assert not any("outside of the period" in each for each in rows(page, "Differences")), "the last day is in it"
    assert any(each.startswith("not ours") and "0.70 USD" in each for each in rows(page, "Differences"))
    assert violations(page) == []
    page.get_by_label("Memo").fill("please credit")
    confirmed(page, "Open a dispute", "The dispute is open")
    (bill,) = compared()
    assert (bill["since"], bill["comparison"]["zone"]) == (f"{at[:10]}T00:00:00.000Z", "UTC")
    assert (datetime.fromisoformat(bill["until"]) - datetime.fromisoformat(bill["since"])).days == 1
    assert page.locator("dd").first.inner_text() == f"{at[:10]} 00:00:00 UTC"
    assert (bill["dispute"]["memo"], bill["dispute"]["state"]) == ("please credit", "open")
    elsewhere = visit("finance", language="zh").go("/bills")
    expect(elsewhere.locator("tbody tr", has_text="bill.csv")).to_contain_text("已提出")
    for state, following in (("rejected", ["sent", "settled"]), ("sent", ["accepted", "rejected", "settled"])):
        assert site.api.ask("PUT", f"/reconciliations/{bill['id']}/dispute", {"state": state}).status == 200
        page.reload()
        page.get_by_role("combobox", name="State").click()
        page.get_by_role("option").first.wait_for()
        assert page.get_by_role("option").all_inner_texts() == [state, *following]
        page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.get_by_role("button", name="Differing calls as CSV").click()
    assert b"4499123" in download.value.path().read_bytes()
    expect(page.get_by_role("button", name="Differing calls as CSV")).to_be_focused()
    before = balance(site, "vendors")
    page.get_by_role("combobox", name="State").click()
    page.get_by_role("option", name="settled").click()
    page.get_by_label("Amount").fill("0.70")
    page.get_by_label("Reference").fill("credit 17")
    book = page.get_by_label("book it: the overcharge was booked on the vendor's account before")
    expect(book).not_to_be_checked()
    page.get_by_role("button", name="Change the dispute").click()
    expect(page.get_by_role("dialog")).to_contain_text("nothing is booked")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    book.check()
    page.get_by_role("button", name="Change the dispute").click()
    expect(page.get_by_role("dialog")).to_contain_text("Settle the dispute with vendors at 0.70 USD?")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    confirmed(page, "Change the dispute", "The dispute is settled: 0.70 USD")
    expect(page.get_by_role("main")).to_contain_text("It is settled, and 0.70 USD are booked; its amount stays.")
    expect(page.get_by_role("main")).to_contain_text("0.70 USD credit 17")
    expect(page.get_by_label("Reference")).to_have_count(0)
    for field in ("State", "Amount"):
        expect(page.get_by_label(field, exact=True)).to_have_count(0)
    expect(book).to_have_count(0)
    assert violations(page) == []
    page.get_by_label("Memo").fill("credited")
    page.get_by_role("button", name="Change the dispute").click()
    expect(page.get_by_role("dialog")).to_contain_text("Change the notes of the dispute with vendors?")
    page.get_by_role("dialog").get_by_role("button", name="Change the dispute").click()
    expect(page.get_by_role("main")).to_contain_text("USD credit 17 credited")
    (bill,) = compared()
    assert (bill["dispute"]["memo"], bill["dispute"]["booked"]) == ("credited", "0.70")
    page.get_by_label("Memo").fill("")
    confirmed(page, "Change the dispute", "The dispute is settled: 0.70 USD")
    expect(page.get_by_role("main")).not_to_contain_text("credit 17 credited")
    (bill,) = compared()
    assert (bill["dispute"]["memo"], bill["dispute"]["reference"]) == (None, "credit 17")
    page.get_by_role("link", name="payments of vendors").click()
    expect(page.get_by_role("region", name="Booked")).to_contain_text("credit 17")
    assert balance(site, "vendors") == before + Decimal("0.70")
    page = boss.turn("/bills", "Vendors' bills")
    page.get_by_role("link", name="bill.csv").wait_for()
    page.locator("input[type=file]").set_input_files(bill_file)
    expect(page.get_by_label("Time zone")).to_have_value("")
    page.get_by_role("textbox", name="Vendor", exact=True).fill("vendors")
    expect(page.get_by_label("Time zone")).to_have_value("UTC")


def test_a_bill_that_was_compared_by_a_wrong_map_is_compared_once_more(site: Watched, boss: Visitor) -> None:
    """The header of the bill has two blanks in a title, a sign of Windows-1252 and a separator of no sheet of rates."""
    file = gzip.compress("N°|Start  Time|Duration|Price\n4499125|2026-02-10 12:00:00|60|0.30\n".encode("cp1252"))
    page = boss.go("/bills", "Vendors' bills")

    def choose(name: str, content: bytes) -> None:
        bill: FilePayload = {"name": name, "mimeType": "application/gzip", "buffer": content}
        page.locator("input[type=file]").set_input_files(bill)

    def compared() -> list[tuple[str, str]]:
        found = [each for each in site.items("/reconciliations") if each["file"] == "coded.csv.gz"]
        return [(each["since"], each["comparison"]["zone"]) for each in found]

    page.get_by_role("textbox", name="Vendor", exact=True).fill("vendors")
    choose("coded.csv.gz", b"Number,Start,Duration")
    page.get_by_role("alert").filter(has_text="coded.csv.gz cannot be decompressed").wait_for()
    choose("coded.csv.gz", file)
    for field, title in (("Called number", "N°"), ("Start", "Start  Time")):
        page.get_by_role("combobox", name=field, exact=True).click()
        page.get_by_role("option").and_(page.locator(f"[value='{title}']")).click()
    page.get_by_role("combobox", name="Duration", exact=True).click()
    page.get_by_role("option", name="Duration", exact=True).click()  # which is chosen already
    expect(page.get_by_role("combobox", name="Duration", exact=True)).to_have_value("Duration")
    expect(page.get_by_role("button", name="Compare", exact=True)).to_be_enabled()
    expect(page.get_by_label("Encoding")).to_have_attribute("placeholder", "windows-1252")
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", level=1, name="vendors coded.csv.gz").wait_for()
    assert compared() == [("2026-02-10T03:00:00.000Z", "Asia/Tokyo")]

    page = boss.turn("/bills", "Vendors' bills")
    page.get_by_role("textbox", name="Vendor", exact=True).fill("vendors")
    choose("coded.csv.gz", file)
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
    page.get_by_label("Time zone").fill("UTC")
    page.get_by_role("button", name="Compare", exact=True).click()
    said = page.get_by_role("status").filter(has_text="coded.csv.gz of vendors was compared before")
    expect(said.get_by_role("link", name="That comparison")).to_have_attribute("href", re.compile("/bills/[0-9]+$"))
    assert violations(page) == []
    assert compared() == [("2026-02-10T03:00:00.000Z", "Asia/Tokyo")]
    said.get_by_role("button", name="Compare it once more").click()
    page.get_by_role("heading", level=1, name="vendors coded.csv.gz").wait_for()
    expect(page.locator("dd").first).to_contain_text("12:00:00 UTC")
    assert compared() == [("2026-02-10T12:00:00.000Z", "UTC")]


def test_a_bill_with_decimal_commas_minutes_and_a_prefix_is_compared(site: Watched, boss: Visitor) -> None:
    """Two of its columns have one title."""
    file = "Number;Start;Duration;Amount;Amount\n#4499126;2026-02-10 12:00:00;1:05;1;0,122908\n"
    page = boss.go("/bills", "Vendors' bills")
    page.get_by_role("textbox", name="Vendor", exact=True).fill("vendors")

    def choose(name: str, content: bytes) -> None:
        page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})

    def field(name: str) -> Locator:
        return page.get_by_role("combobox", name=name, exact=True)

    choose("bill.xlsx", b"PK\x03\x04")
    page.get_by_role("alert").filter(has_text="bill.xlsx is a workbook, not CSV").wait_for()
    expect(page.get_by_role("button", name="Compare", exact=True)).to_be_disabled()
    choose("minutes.csv", b"Number;Start;Duration;Billed\n4499126;2026-02-10 12:00:00;1.5;120\n")
    expect(field("Unit of billed time")).to_have_value("seconds")
    field("Unit of durations").click()
    page.get_by_role("option", name="minutes").click()
    expect(field("Unit of billed time")).to_have_value("")
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("alert").filter(has_text="the unit of the column billed").wait_for()
    choose("commas.csv", file.encode())
    expect(field("Unit of billed time")).to_have_count(0)
    expect(field("Unit of durations")).to_have_value("1:02:03 or 62:03")
    expect(field("Decimal sign")).to_have_value(".")
    field("Price").click()
    page.get_by_role("option", name="5: Amount").click()
    expect(field("Decimal sign")).to_have_value(",")
    page.get_by_text("More about the file").click()
    page.get_by_label("Taken off the vendor's numbers").fill("#")
    assert violations(page) == []
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_role("heading", level=1, name="vendors commas.csv").wait_for()
    (bill,) = [each for each in site.items("/reconciliations") if each["file"] == "commas.csv"]
    assert (bill["theirs"], bill["comparison"]["rows"], bill["comparison"]["bad_rows"]) == ("0.122908", 1, 0)
    page = boss.turn("/bills", "Vendors' bills")
    page.get_by_role("textbox", name="Vendor", exact=True).fill("vendors")
    choose("commas.csv", file.encode())
    expect(field("Price")).to_have_value("5: Amount")
    expect(page.get_by_label("Taken off the vendor's numbers")).to_have_value("#")
    fits_a_telephone(page)


def test_a_dispute_that_a_colleague_has_changed_meanwhile_is_not_settled_with_the_amount_of_before(
    site: Watched, boss: Visitor
) -> None:
    bill, columns = (site.daemon.directory / name for name in ("agreed.csv", "agreed.yaml"))
    bill.write_text("Number,Start,Duration,Price\n4499124,2026-02-10T12:00:00Z,60,0.75\n")
    columns.write_text("columns: {callee: Number, start: Start, duration: Duration, price: Price}\n")
    site.daemon.succeed("reconcile", "import", "vendors", str(bill), "--map", str(columns))
    (number,) = [each["id"] for each in site.items("/reconciliations") if each["file"] == "agreed.csv"]
    place, before = f"/reconciliations/{number}", balance(site, "vendors")

    def dispute() -> dict[str, str]:
        found: dict[str, str] = site.api.ask("GET", place).json["dispute"]
        return found

    def refused(act: str) -> None:
        asked.get_by_role("button", name=act).click()
        asked.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
        asked.get_by_role("button", name="Cancel").click()
        expect(asked).to_have_count(0)

    page = boss.go(f"/bills/{number}", "vendors agreed.csv")
    asked = page.get_by_role("dialog")
    page.get_by_role("button", name="Open a dispute").click()
    assert site.api.ask("PUT", f"{place}/dispute", {"state": "sent", "amount": "0.70"}).status == 200
    refused("Open a dispute")
    assert (dispute()["state"], dispute()["amount"]) == ("sent", "0.70")

    page.get_by_role("button", name="Change the dispute").wait_for()  # the page has read that of the colleague
    expect(page.get_by_label("Amount")).to_have_value("0.70")
    page.get_by_role("combobox", name="State").click()
    page.get_by_role("option", name="settled").click()
    page.get_by_label("Reference").fill("credit note 9")
    page.get_by_role("button", name="Change the dispute").click()
    agreed = {"state": "accepted", "amount": "0.20", "memo": "agreed by telephone"}
    assert site.api.ask("PUT", f"{place}/dispute", agreed).status == 200
    refused("Change the dispute")
    assert {name: dispute()[name] for name in agreed} == agreed
    assert balance(site, "vendors") == before

    expect(page.get_by_label("Amount")).to_have_value("0.20")
    expect(page.get_by_label("Memo")).to_have_value("agreed by telephone")
    expect(page.get_by_label("Reference")).to_have_value("credit note 9")
    expect(page.get_by_role("combobox", name="State")).to_have_value("settled")
    said = page.get_by_role("status").filter(has_text="has changed the dispute meanwhile. What you have typed stays")
    said.wait_for()
    assert violations(page) == []
    confirmed(page, "Change the dispute", "The dispute is settled: 0.20 USD")
    expect(said).to_have_count(0)
    assert (dispute()["reference"], dispute()["memo"]) == ("credit note 9", "agreed by telephone")
    assert balance(site, "vendors") == before


def test_a_customer_in_another_zone_sees_one_day_of_its_account_whose_zone_is_named(visit: Visit) -> None:
    page = visit("customer", "acme").go("/")
    expect(page.locator("dl.facts")).to_contain_text(re.compile(r"Zone of its days\s*UTC"))
    with page.expect_request("**/api/v1/cdrs?*") as asked, page.expect_download():
        page.get_by_role("button", name="Calls of today as CSV (UTC)").click()
    assert "T00%3A00%3A00.000Z" in asked.value.url


@pytest.mark.parametrize("is_read", [True, False], ids=["a zone that the browser does not know", "none that is read"])
def test_a_customer_has_its_calls_by_the_day_of_the_browser_where_its_own_is_not_known(
    visit: Visit, is_read: bool
) -> None:
    visitor = visit("customer", "acme")

    def answer(route: Route) -> None:
        if is_read:
            route.fulfill(json={**route.fetch().json(), "timezone": "localtime"})
        else:
            refusal = made_problem(HTTPStatus.CONFLICT, "period_dropped", "January is dropped")
            route.fulfill(status=409, json=refusal)

    visitor.page.route("**/api/v1/accounts/acme/balance?consumption=true", answer)
    with visitor.page.expect_response("**/api/v1/accounts/acme/balance?consumption=true"):
        page = visitor.go("/")
    page.get_by_text("localtime" if is_read else "January is dropped").wait_for()
    own = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    page.get_by_role("button", name=f"Calls of today as CSV ({own})").wait_for()


def test_a_customer_at_the_address_of_another_is_sent_to_no_command_of_the_switch(visit: Visit) -> None:
    for language in ("en", "zh"):
        visitor = visit("customer", "acme", language=language)
        for path in ("/accounts/rival", "/objects/phones/4711", "/invoices/4711"):
            page = visitor.go(path)
            page.get_by_role("alert").first.wait_for()
            assert "vosd " not in page.inner_text("main")
            if path == "/accounts/rival":
                expect(page.get_by_role("heading", level=2)).to_have_count(0)
                expect(page.get_by_role("alert")).to_have_count(1)


def test_what_is_missing_for_the_close_of_a_month_is_said_before(boss: Visitor) -> None:
    page = boss.go("/months?month=2126-01", "Months")
    page.get_by_role("button", name="What is missing for the close?").click()
    expect(page.get_by_label("Missing work").locator("tbody tr")).to_have_count(1)
    assert rows(page, "Missing work")[0].startswith("the month is not over")
    assert "vosd" not in rows(page, "Missing work")[0]  # no command helps
    expect(page.get_by_role("button", name="Close the month")).to_have_count(0)
    assert violations(page) == []
    page = boss.go("/months?month=2026-02&account=acme", "Months")
    expect(page.get_by_label("Statements").locator("tbody tr")).to_have_count(1)
    assert "call 1: -" in rows(page, "Statements")[0]


def test_what_is_no_month_is_refused_as_such(boss: Visitor) -> None:
    page = boss.go("/months?month=10/2026", "Months")  # as where a browser has no field of months
    expect(page.get_by_role("alert")).to_contain_text("`month` '10/2026' is no month: write 2026-03")
    page = boss.go("/months?month=..", "Months")  # would be another path
    page.get_by_role("heading", name="Statements UTC").wait_for()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_month_of_the_statements_is_typed_and_narrows_when_its_field_is_left(boss: Visitor) -> None:
    page = boss.go("/months", "Months")
    month = page.get_by_label("Month", exact=True)
    last = month.input_value()
    month.focus()
    for key in "022026":
        page.keyboard.press(key)
        expect(page).to_have_url(re.compile("/months$"))
    with page.expect_request("**/statements/2026-02?*"):
        page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("month=2026-02$"))
    page.keyboard.press("Backspace")
    expect(month).to_have_value("")
    month.blur()
    expect(month).to_have_value("2026-02")
    page.go_back()
    expect(month).to_have_value(last)


def test_a_month_is_closed_with_a_reason_for_what_is_passed_over(site: Watched, boss: Visitor) -> None:
    page = boss.go("/months?month=2026-01", "Months")
    site.daemon.succeed("invoice", "run", "--period", "2026-01", "--account", "rival")
    site.daemon.succeed("report", "rebuild")  # the switch adds calls up half a minute after its start
    page.get_by_role("button", name="What is missing for the close?").click()
    expect(page.get_by_label("Missing work").locator("tbody tr")).to_have_count(1)
    assert rows(page, "Missing work")[0].startswith("a vendor's bill was not compared")
    page.get_by_label("Pass over: a vendor's bill was not compared").check()
    expect(page.get_by_role("button", name="Close the month")).to_be_disabled()
    page.get_by_label("Reason for passing over").fill("none came")
    more = {"obstacle": "dispute_open", "detail": "the dispute with rival is open", "do": ""}

    def with_another(route: Route) -> None:
        found = route.fetch()
        route.fulfill(response=found, json={**found.json(), "missing": [*found.json()["missing"], more]})

    route_once(page, "**/jobs/*/result", with_another)
    page.get_by_role("button", name="Close the month").click()
    asked = page.get_by_role("dialog")
    asked.get_by_role("button", name="Close the month").click()
    asked.get_by_role("alert").filter(has_text="Other work is missing by now than you have seen").wait_for()
    asked.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Missing work").locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="What is missing for the close?").click()
    expect(page.get_by_label("Missing work").locator("tbody tr")).to_have_count(1)
    confirmed(page, "Close the month", "2026-01 is closed")
    expect(page.get_by_role("button", name="Close the month")).to_have_count(0)
    expect(page.get_by_label("Missing work")).to_have_count(0)
    for _ in range(2):  # the second time as another visit of the page finds it
        closed_by = page.get_by_role("status").filter(has_text=" has closed 2026-01: ")
        expect(closed_by).to_contain_text("Passed over: a vendor's bill was not compared. Reason: none came")
        expect(closed_by).to_contain_text("/months/2026-01 on the machine of the switch")
        assert violations(page) == []
        page.reload()
        page.get_by_role("button", name="What is missing for the close?").click()
    expect(closed_by).to_have_count(1)
    expect(page.get_by_text("Nothing is missing for 2026-01")).to_have_count(0)
    expect(page.get_by_role("button", name="Close the month")).to_have_count(0)
    closed = site.daemon.verb("month", "close", "2026-01", "--dry-run")
    assert closed.stderr.startswith("closed before")
    assert "none came" in closed.stdout, "the auditor's page says why"
    page.get_by_role("heading", name="Statements UTC").wait_for()
    (ended,) = [
        each["balance"] for each in site.items("/ledger/balances?at=2026-02-01T00:00:00Z") if each["account"] == "rival"
    ]
    own = page.get_by_label("Statements").locator("tbody tr").filter(has_text="rival")
    expect(own).to_contain_text("✓")  # statements are read again after the close
    (shown,) = [each for each in rows(page, "Statements") if each.startswith("rival")]
    assert Decimal(ended) < 0
    assert shown.endswith(f"{ended} USD ✓"), "the month of the books, which is closed, not that of the browser"


@pytest.mark.parametrize(("role", "account", "hidden"), [("viewer", None, "Transfer"), ("customer", "acme", "Waiting")])
def test_those_who_may_not_book_are_not_offered_it(visit: Visit, role: str, account: str | None, hidden: str) -> None:
    visitor = visit(role, account, NARROW)
    page = visitor.go("/payments?account=acme", "Payments")
    page.get_by_role("tab", name="Booked").wait_for()
    expect(page.get_by_role("tab", name=re.compile(hidden))).to_have_count(0)
    for path in ("/months", "/payments"):
        page = visitor.turn(path)
        expect(page.get_by_role("button", name="What is missing for the close?")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0], path
    if account:
        assert "vendor" not in page.inner_text("body").lower()


PLACES: Final = """beginning => {
    const texts = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    while (texts.nextNode() && !texts.currentNode.data.startsWith(beginning));
    return [0, 1].map((at) => {
        const letter = document.createRange();
        letter.setStart(texts.currentNode, at);
        letter.setEnd(texts.currentNode, at + 1);
        return letter.getBoundingClientRect().left;
    });
}"""
"""The places of the first two letters of a text that begins so."""


@pytest.mark.parametrize("beginning", ["-0.013345", "+493"])
def test_in_a_language_from_the_right_to_the_left_a_sign_stands_before_its_digits(visit: Visit, beginning: str) -> None:
    """There is no such language yet: its file would turn the page by its name."""
    page = visit(language="zh").go("/accounts/acme", "acme")
    expect(page.locator("html")).to_have_attribute("dir", "ltr")
    page.get_by_text(beginning).first.wait_for()
    page.evaluate("document.documentElement.dir = 'rtl'")
    menu, main = page.locator("nav").first.bounding_box(), page.locator("main h1").bounding_box()
    assert menu is not None
    assert main is not None
    assert menu["x"] > main["x"]
    sign, digit = page.evaluate(PLACES, beginning)
    assert sign < digit
    fits_a_telephone(page)
    page.evaluate("document.documentElement.dir = 'ltr'")


def test_in_a_language_from_the_right_to_the_left_the_next_tab_is_to_the_left(boss: Visitor) -> None:
    page = boss.go("/payments", "Payments")
    page.evaluate("document.documentElement.dir = 'rtl'")
    page.get_by_role("tab").first.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab").nth(1)).to_be_focused()
    page.evaluate("document.documentElement.dir = 'ltr'")
