"""Each screen of the console with what a switch has done, in a browser: roles, languages, a narrow window, axe."""

import json
import re
from base64 import b32decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from http import HTTPStatus
from time import time_ns
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from api.watched import Watched, refused_call, something_of_everything
from doubles.sockets.peer import OutgoingCall, Peer
from e2e.addresses import API_SWITCH, VENDORS
from e2e.conversation import conversing
from e2e.stage import Caller, Vendor
from playwright.sync_api import Browser, Page, Request, Route, expect

from console.conftest import (
    GO,
    NARROW,
    NEW_TITLE,
    PASSWORD,
    ROOT,
    TIME_PASSES,
    Visit,
    Visitor,
    colour,
    english_in,
    fits_a_telephone,
    is_in_memory,
    logged_in,
    lose_the_answer,
    meanwhile,
    route_once,
    see,
    violations,
)
from console.made_answers import made_page, made_problem
from vosd.admin.office.second_factor import STEP_MS, code_at
from vosd.obs.events import Event
from vosd.obs.remedies import REMEDIES
from vosd.routing.breaker import SILENT

LINES: Final = """cells => cells.map(each => {
    const range = document.createRange();
    range.selectNodeContents(each);
    return new Set([...range.getClientRects()].filter(box => box.width).map(box => Math.round(box.top))).size;
})"""
"""In how many lines the text of each cell stands."""
SCREENS: Final = {
    "/": "Overview",
    "/calls": "Calls now",
    "/cdrs": "Call search",
    "/try": "Try a call",
    "/accounts": "Accounts",
    "/accounts/acme": "acme",
    "/gateways": "Gateways",
    "/gateways/carrier-b": "carrier-b",
    "/alarms": "Alarms",
    "/reports": "Reports",
    "/lists/audit": "Audit",
    "/lists/registrations": "Registrations",
    "/parameters": "Parameters",
    "/objects/mapping_gateways": "Mapping gateways",
    "/lists/ledger": "Ledger",
    "/lists/nothing": "There is no such page",
}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
CONTRAST_OF_GRAPHICS: Final = 3
"""Contrast that a graphic with a meaning needs to what is around it (WCAG 2.2, 1.4.11)."""
FAINTEST_MARK: Final = """() => {
    const light = text => {
        const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255);
        const [red, green, blue] = parts.map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    };
    const marks = [...document.querySelectorAll("th[aria-sort] svg.sort-mark path")];
    return Math.min(...marks.map(mark => {
        const behind = getComputedStyle(mark.closest("th")).backgroundColor;
        const [one, other] = [getComputedStyle(mark).fill, behind].map(light);
        return Math.max(one, other) / Math.min(one, other);
    }));
}"""
"""Contrast of the faintest of the marks that say in which order a table is."""
MARKUP: Final = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module", autouse=True)
def used(site: Watched) -> str:
    """Have calls and objects; return the id of a call that two vendors refused."""
    return something_of_everything(site)


def rows(page: Page, label: str) -> list[str]:
    """Return the rows of a table that has some: they are drawn once the browser has measured its place."""
    found = page.get_by_label(label).locator("tbody tr")
    found.first.wait_for()
    return [" ".join(each.split()) for each in found.all_inner_texts()]


def test_every_screen_is_there_for_the_administrator_and_axe_has_nothing_against_it(visit: Visit) -> None:
    visitor = visit()
    for path, page in visitor.each(SCREENS):
        expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
        expect(page.get_by_role("alert").filter(has_text="Try again")).to_have_count(0)
        assert violations(page) == [], path
        fits_a_telephone(page)


def test_the_menu_of_a_telephone_leads_to_a_screen(visit: Visit) -> None:
    page = visit(size=NARROW).go("/lists/nothing", "There is no such page")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Gateways", exact=True).click()
    page.get_by_role("heading", level=1, name="Gateways").wait_for()
    assert violations(page) == []


def test_the_console_speaks_chinese_and_keeps_the_language(site: Watched, visit: Visit) -> None:
    site.daemon.succeed("report", "rebuild")  # the switch adds calls up half a minute after its start
    visitor = visit(language="zh-CN")
    page = visitor.go("/", "总览")
    assert page.evaluate("document.documentElement.lang") == "zh"
    for path in ("/calls", "/accounts/acme", "/reports"):
        assert not re.search(r"\b(nav|column|state|calls)\.\w+", visitor.turn(path).inner_text("body")), path
    page = visitor.turn("/accounts/nope")
    page.get_by_text("vosd account list 列出全部账户").first.wait_for()
    instead = page.get_by_role("alert").first.get_by_role("link")
    expect(instead).to_have_attribute("href", "/accounts")
    page = visitor.turn("/try?gateway=acme-pbx&caller=1202&callee=999")
    page.get_by_text("sell 没有 999 的费率").first.wait_for()
    assert english_in(page) == []
    visitor.turn("/objects/accounts")
    page.get_by_role("cell", name="数据库", exact=True).first.wait_for()
    visitor.turn("/reports?name=failures")
    failures = page.get_by_label("failures").locator("tbody tr")
    failures.filter(has_text=re.compile("忙.*被叫")).first.wait_for()
    failures.filter(has_text=re.compile("号码不允许.*交换机")).first.wait_for()
    page.goto(f"{visitor.base}/reports?name=balances")
    balances = page.get_by_label("balances").locator("tbody tr")
    balances.filter(has_text=re.compile("客户（direct）.*无限制")).first.wait_for()  # noqa: RUF001
    page.goto(f"{visitor.base}/reports?name=clearing")
    page.get_by_text("供应商、合作伙伴、代理和客户的账户").first.wait_for()
    assert english_in(page) == []
    visitor.turn("/alarms")
    page.get_by_role("cell", name="提示", exact=True).first.wait_for()
    page.get_by_role("button", name=re.compile("^p")).click()
    page.get_by_role("menuitem", name="English").click()
    visitor.go("/calls", "Calls now")


def test_running_calls_appear_by_themselves_and_are_hung_up_after_a_question(site: Watched, visit: Visit) -> None:
    page = visit().go("/calls?account=acme", "Calls now")
    page.get_by_text("0 calls", exact=True).wait_for()
    with conversing(site.stage, "4410", "4410") as (first, second):
        first.establish()
        page.get_by_text("1 call", exact=True).wait_for()
        second.establish()
        page.get_by_text("2 calls", exact=True).wait_for()
        told = page.get_by_role("status")  # by readers of screens: calls come and go all the time
        expect(told).to_have_text("")
        page.get_by_label("Filter").fill("4410")
        expect(told).to_have_text("2 calls")
        page.get_by_label("Filter").fill("")
        table = page.get_by_label("Calls now", exact=True).locator("tbody tr")
        expect(table.nth(1)).to_contain_text(re.compile(r"≈ 0\.\d{4} USD\s*PCMU"))
        page.reload()  # read from the list, as the events before said it
        expect(table.nth(1)).to_contain_text(re.compile(r"≈ 0\.\d{4} USD\s*PCMU"))
        hint = "By the minute since the answer, without first periods, fees and tax"
        expect(page.get_by_role("columnheader", name="So far")).to_have_attribute("title", hint)
        page.get_by_role("button", name="Only account acme").click()
        expect(page).to_have_url(re.compile(r"/calls$"))
        page.get_by_text("customer", exact=True).click()
        expect(page.get_by_label("Calls now").locator("tbody tr")).to_have_count(1)
        expect(page.get_by_label("Calls now").locator("tbody tr")).to_contain_text(
            re.compile(r"acme\s*2\s*2\s*≈ 0\.\d{4} USD")
        )
        page.get_by_role("link", name="acme", exact=True).click()
        expect(page).to_have_url(re.compile(r"/calls\?customer_account=acme$"))
        expect(page.get_by_label("Calls now").locator("tbody tr")).to_have_count(2)
        page.get_by_text("destination", exact=True).click()
        page.get_by_label("Calls now").get_by_role("link", name=first.callee[:4], exact=True).click()
        page.get_by_role("button", name=f"Only destination {first.callee[:4]}").click()
        page.get_by_role("button", name="Only customer acme").click()
        expect(page).to_have_url(re.compile(r"/calls$"))
        page.get_by_label("Filter").fill(first.callee)
        expect(told).to_have_text("1 call")
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Hang up 1").click()
        asked = page.get_by_role("dialog")
        expect(asked).to_contain_text("Hang up 1 call?")
        expect(asked.get_by_role("listitem")).to_have_text([re.compile(rf"→ \+?{first.callee}, acme$")])
        with meanwhile(first.is_ended_by_the_switch):
            asked.get_by_role("button", name="Hang up").click()
        page.get_by_text("0 calls", exact=True).wait_for()
        page.get_by_label("Filter").fill("")
        page.get_by_text("1 call", exact=True).wait_for()
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Hang up 1").click()
        expect(asked).to_contain_text(second.callee)
        second.hang_up()
        expect(asked).to_have_count(0)  # no call is left that the question is about
        page.get_by_text("0 calls", exact=True).wait_for()
    site.stage.expect_nothing_left()


def test_running_calls_have_lasted_as_long_as_the_switch_says_whatever_the_clock_of_the_browser(
    site: Watched, newcomer: Visit
) -> None:
    with conversing(site.stage, "4410") as (call,):
        call.establish()
        for ahead_s in (3_600, -3_600):
            visitor = newcomer()
            visitor.page.clock.install(time=time_ns() / 1_000_000_000 + ahead_s)
            row = visitor.go("/calls", "Calls now").get_by_label("Calls now", exact=True).locator("tbody tr")
            expect(row).to_contain_text(re.compile(r":\d\d0:(?!00)[0-5]\d≈ 0\.(?!0000)\d{4} USD"))
        call.hang_up()
    site.stage.expect_nothing_left()


def test_running_calls_stay_under_the_pointer_when_others_end_and_begin(site: Watched, visit: Visit) -> None:
    page = visit().go("/calls?sort=-callee", "Calls now")
    row = page.get_by_label("Calls now", exact=True).locator("tbody tr")
    show = page.get_by_role("button", name="Show 1 new")
    with conversing(site.stage, "4410", "4410", "4410") as (stays, ends, begins):
        stays.establish()
        ends.establish()
        page.get_by_text("2 calls", exact=True).wait_for()
        row.nth(1).hover()
        ends.hang_up()
        page.get_by_text("1 call", exact=True).wait_for()
        expect(row).to_have_count(2)
        expect(row.nth(0)).to_contain_text(re.compile(rf"ended.*{ends.callee}"))
        expect(row.nth(0).get_by_role("checkbox")).to_have_count(0)
        expect(row.nth(1)).to_contain_text(stays.callee)
        begins.establish()  # it comes before both in this order
        show.wait_for()
        assert violations(page) == []
        expect(row.nth(1)).to_contain_text(stays.callee)
        page.get_by_label("Filter").hover()
        expect(row.nth(0)).to_contain_text(begins.callee)
        expect(row.nth(1)).to_contain_text(stays.callee)
        row.nth(1).get_by_role("checkbox").check()
        page.get_by_label("Filter").hover()
        begins.hang_up()
        expect(row.nth(0)).to_contain_text("ended")
        page.get_by_role("button", name="Hang up 1").click()
        expect(page.get_by_role("dialog").get_by_role("listitem")).to_contain_text(stays.callee)
        with meanwhile(stays.is_ended_by_the_switch):
            page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
        page.get_by_text("0 calls", exact=True).wait_for()
        expect(row).to_have_count(0)
    site.stage.expect_nothing_left()


@pytest.mark.sipp
def test_a_call_of_sipp_is_hung_up_and_in_the_search_with_its_money(site: Watched, visit: Visit) -> None:
    visitor, stage = visit(), site.stage
    page = visitor.go("/calls", "Calls now")
    callee, source = stage.number("4410"), stage.endpoint_of("acme")
    answers, calls = Vendor("carrier-a", "answers"), Caller("is_hung_up_on")
    with stage.vendor(answers, callee) as vendor, stage.caller(calls, callee, source) as caller:
        page.get_by_label("Filter").fill(callee)
        row = page.get_by_label("Calls now", exact=True).locator("tbody tr")
        expect(row).to_contain_text(re.compile(r"talking.*≈ 0\.\d{4} USD"))
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Hang up 1").click()
        page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
        caller.wait()
        vendor.wait()
    page.get_by_text("0 calls", exact=True).wait_for()
    stage.expect_nothing_left()
    record = stage.record_of(callee)
    page = visitor.turn(f"/cdrs?callee={callee}", "Call search")
    row = page.get_by_label("Call search", exact=True).locator("tbody tr")
    expect(row).to_contain_text(f"{record['fee']} USD")
    row.get_by_role("link").last.click()
    page.get_by_role("heading", level=1, name=record["call_id"]).wait_for()
    page.get_by_role("tab", name="Charges").click()
    expect(page.get_by_label("Customer acme")).to_contain_text("0.60 USD a minute")


def test_a_search_is_a_link_and_leads_to_the_call_and_why_it_failed(site: Watched, visit: Visit, used: str) -> None:
    visitor = visit()
    record = site.items(f"/cdrs?limit=1&callee={site.api.ask('GET', f'/cdrs/{used}').json['callee_in']}")[0]
    page = visitor.go("/", "Overview")
    page.keyboard.press("/")
    page.keyboard.type(str(record["callee_in"]))
    page.keyboard.press("Enter")
    expect(page.get_by_label("Call search").locator("tbody tr")).to_have_count(1)
    assert page.url.endswith(f"/cdrs?callee={record['callee_in']}")
    page.get_by_role("link", name=used[:8]).click()
    page.get_by_role("heading", level=1, name=used).wait_for()
    page.get_by_text("Busy", exact=True).first.wait_for()
    page.get_by_role("tab", name="Why").click()
    expect(page.get_by_label("Candidates in their order").locator("tbody tr")).to_have_count(2)
    assert "carrier-b tried: 503" in rows(page, "Candidates in their order")[0]
    assert violations(page) == []
    page.go_back()
    expect(page.get_by_role("tab", name="Facts")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(page.get_by_label("Call search").locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("menuitem", name="PDD").click()
    expect(page).to_have_url(re.compile(r"columns=.*pdd_ms"))
    page.keyboard.press("Escape")
    page.get_by_label("Name of the search").fill("mine")
    page.get_by_role("button", name="Save this search").click()
    page.get_by_text("mine is saved").wait_for()
    page.evaluate("localStorage.removeItem('vosd.cdrs.columns')")
    visitor.go("/cdrs", "Call search").get_by_role("combobox", name="Saved searches").click()
    page.get_by_role("option", name="mine").click()
    expect(page.get_by_label("Call search").locator("tbody tr")).to_have_count(1)
    page.get_by_role("columnheader", name="PDD").wait_for()


def test_a_search_is_saved_and_exported_with_what_is_entered(site: Watched, visit: Visit, used: str) -> None:
    visitor = visit()
    page = visitor.go("/cdrs", "Call search")
    views = f"{visitor.base}/api/v1/views?page=cdrs"
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    account, caller = page.get_by_label("Account", exact=True), page.get_by_label("Caller", exact=True)
    caller.fill("999999")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 1, "the header alone"
    expect(page).to_have_url(re.compile(r"/cdrs\?caller=999999$"))
    caller.fill("")
    account.fill("acme")
    page.get_by_label("Name of the search").fill("of acme")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/cdrs\?account=acme$"))
    page.get_by_text("of acme is saved").wait_for()
    kept = page.request.get(views).json()["items"]
    assert [each["query"] for each in kept if each["name"] == "of acme"] == ["account=acme"]
    page.goto(f"{visitor.base}/cdrs?answered=true&columns=fee")
    expect(page).to_have_url(re.compile("since="))
    page.reload()
    page.get_by_label("Name of the search").fill("of a day")
    page.keyboard.press("Enter")
    page.get_by_text("of a day is saved").wait_for()
    kept = page.request.get(views).json()["items"]
    assert [each["query"] for each in kept if each["name"] == "of a day"] == ["answered=true&columns=fee"]
    visitor.go("/cdrs", "Call search")
    since = page.get_by_label("From", exact=True)
    since.click()
    page.keyboard.type("0301")
    page.get_by_label("Name of the search").fill("in part")
    page.keyboard.press("Enter")
    expect(since).to_be_focused()
    asked.clear()
    page.get_by_role("button", name="CSV").click()
    expect(since).to_be_focused()
    assert [url for url in asked if "/cdrs" in url] == []
    assert len(page.request.get(views).json()["items"]) == len(kept)


def test_a_download_that_takes_long_says_so_and_is_cancelled(visit: Visit) -> None:
    page = visit().go("/lists/audit", "Audit")

    def is_file(request: Request) -> bool:
        return "/audit?" in request.url and request.headers.get("accept") == "text/csv"

    page.route(re.compile("/audit[?]"), lambda route: None if is_file(route.request) else route.fallback())
    button = page.get_by_role("button", name="CSV")
    with page.expect_request(is_file):
        button.click()
    page.get_by_role("status").filter(has_text="audit.csv is being made").wait_for()
    assert violations(page) == []
    with page.expect_event("requestfailed", is_file):
        page.get_by_role("button", name="Cancel audit.csv").click()
    expect(page.get_by_role("button", name="Cancel audit.csv")).to_have_count(0)
    expect(button).to_be_focused()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.unroute_all()
    with page.expect_download() as download:
        button.click()
    assert download.value.suggested_filename == "audit.csv"


def test_accounts_show_their_last_call_and_the_ledger_its_newest_entry_first(site: Watched, visit: Visit) -> None:
    for reference in ("first", "second"):
        booked = site.api.ask("POST", "/accounts/acme/payments", {"amount": "1", "reference": reference})
        assert booked.status == 201, booked.content
    visitor = visit()
    page = visitor.go("/accounts", "Accounts")
    table = page.get_by_label("Accounts", exact=True)
    expect(table.locator("thead")).to_contain_text("Last call")
    expect(table.locator("thead")).to_contain_text("Today, with tax")
    last = table.locator("tbody tr").filter(has=page.get_by_role("link", name="acme", exact=True)).locator("td").nth(10)
    expect(last).to_have_text(re.compile(r"\d{2}:\d{2}:\d{2}"))
    page = visitor.turn("/lists/ledger?account=acme", "Ledger")
    entries = page.get_by_label("Ledger", exact=True).locator("tbody tr")
    expect(entries.nth(0)).to_contain_text("second")
    expect(entries.nth(1)).to_contain_text("first")


@pytest.mark.parametrize(
    ("path", "title", "heading", "field"),
    [
        ("/accounts", "Accounts", "Available", "available"),
        ("/gateways", "Gateways", "ASR %", "asr"),
        ("/calls", "Calls now", "Duration", "duration"),
    ],
)
def test_a_table_is_put_in_the_order_of_a_column_and_its_link_has_that(
    visit: Visit, path: str, title: str, heading: str, field: str
) -> None:
    visitor = visit()
    page = visitor.go(path, title)
    column = page.get_by_label(title, exact=True).get_by_role("columnheader", name=heading)
    column.get_by_role("button").click()
    expect(page).to_have_url(f"{visitor.base}{path}?sort={field}")
    expect(column).to_have_attribute("aria-sort", "ascending")
    column.get_by_role("button").click()
    expect(page).to_have_url(f"{visitor.base}{path}?sort=-{field}")
    expect(column).to_have_attribute("aria-sort", "descending")
    others = page.locator("th[aria-sort=none]")
    expect(others).not_to_have_count(0)
    expect(page.locator("th[aria-sort] svg.sort-mark")).to_have_count(others.count() + 1)
    for scheme in SCHEMES:
        colour(page, scheme)
        assert page.evaluate(FAINTEST_MARK) >= CONTRAST_OF_GRAPHICS, scheme
    assert violations(page) == []


def test_accounts_stand_in_the_order_of_their_money_and_are_chosen_by_type_and_block(
    site: Watched, visit: Visit
) -> None:
    visitor = visit()
    for order in ("balance", "-balance"):
        page = visitor.go(f"/accounts?sort={order}", "Accounts")
        names = page.get_by_label("Accounts", exact=True).locator("tbody tr td:first-child")
        expect(names).to_have_text([each["id"] for each in site.items(f"/balances?sort={order}")])
    page.get_by_role("combobox", name="Type").click()
    page.get_by_role("option", name="vendor (clearing)").click()
    expect(names).to_have_text(["vendors"])
    expect(page).to_have_url(f"{visitor.base}/accounts?sort=-balance&type=clearing")
    page.get_by_role("combobox", name="Blocked").click()
    page.get_by_role("option", name="blocked", exact=True).click()
    expect(names).to_have_count(0)
    assert violations(page) == []
    page.get_by_role("button", name="Show all").click()
    expect(page).to_have_url(f"{visitor.base}/accounts?sort=-balance")
    expect(names).to_have_count(len(site.items("/balances")))


def test_rows_of_the_filter_before_are_marked_until_those_of_the_present_one_are_read(visit: Visit) -> None:
    """They stood there as the answer to it."""
    visitor = visit()
    page = visitor.go("/accounts", "Accounts")
    table = page.get_by_label("Accounts", exact=True)
    rows = table.locator("tbody tr")
    expect(rows).not_to_have_count(0)
    expect(table).to_have_attribute("aria-busy", "false")
    before, held = rows.count(), []
    route_once(page, re.compile(r"/balances\?.*type=clearing"), held.append)
    page.get_by_role("combobox", name="Type").click()
    with page.expect_request(re.compile(r"/balances\?.*type=clearing")):
        page.get_by_role("option", name="vendor (clearing)").click()
    expect(table).to_have_attribute("aria-busy", "true")
    expect(table.locator("tbody tr.gone")).to_have_count(before)
    assert violations(page) == []
    held[0].continue_()
    expect(table).to_have_attribute("aria-busy", "false")
    expect(rows.locator("td:first-child")).to_have_text(["vendors"])
    expect(table.locator("tbody tr.gone")).to_have_count(0)


def test_the_page_of_a_vendor_has_its_gateways_the_cost_of_its_calls_and_the_way_to_all_of_them(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/accounts/vendors", "vendors")
    gateways = page.locator("section.table-frame[aria-label='Routing gateways']")
    expect(gateways.locator("tbody a")).to_have_text(["carrier-a", "carrier-b", "carrier-c"])
    expect(gateways.locator("thead")).to_contain_text("Limit of calls/s")
    calls = page.get_by_label("Last calls", exact=True)
    expect(calls.locator("thead")).to_contain_text("Cost")
    expect(calls.locator("thead")).not_to_contain_text("Fee")
    expect(page.locator("dl.facts dt").filter(has_text="Today, with")).to_have_text(["Today, without tax"])
    page.locator("section.table-frame[aria-label='Calls that it has carried today']").wait_for()
    assert violations(page) == []
    fits_a_telephone(page)
    page.get_by_role("link", name="All in the call search").click()
    page.get_by_role("heading", level=1, name="Call search").wait_for()
    expect(page.get_by_label("Account", exact=True)).to_have_value("vendors")
    page = visitor.turn("/gateways/carrier-b", "carrier-b")
    page.get_by_role("link", name="vendors", exact=True).first.click()
    page.get_by_role("heading", level=1, name="vendors").wait_for()
    page.get_by_role("link", name="New gateway").click()
    page.get_by_role("heading", level=1, name="New: Routing gateways").wait_for()
    expect(page.locator("main").get_by_role("combobox", name="account")).to_have_value("vendors")
    assert violations(page) == []


def test_the_page_of_an_account_leads_to_its_money_its_audit_and_the_accounts_below_it(
    site: Watched, visit: Visit
) -> None:
    keys = {"keys": {"agent": "other", "rate_group": "sell", "currency": "USD"}}
    assert site.api.ask("PUT", "/accounts/stall", keys).status in {200, 201}
    visitor = visit()
    page = visitor.go("/accounts/rival", "rival")
    below = page.locator("section.table-frame[aria-label='Accounts below']")
    expect(below.get_by_role("link", name="other", exact=True)).to_have_count(1)
    expect(below.get_by_role("link", name="stall", exact=True)).to_have_count(0)
    page.get_by_text("All", exact=True).click()
    expect(below.get_by_role("link", name="stall", exact=True)).to_have_count(1)
    assert "tree=all" in page.url
    ways = page.get_by_role("navigation", name="More of this account").get_by_role("link")
    expect(ways).to_have_count(5)  # that to the report comes with the list of reports
    found = [str(each.get_attribute("href")) for each in ways.all()]
    assert found == [
        "/cdrs?account=rival",
        "/payments?account=rival",
        "/invoices?account=rival",
        "/reports?name=daily&account=rival",
        "/lists/audit?subject=rival",
    ]
    page.get_by_role("link", name="All in the ledger").click()
    page.get_by_role("heading", level=1, name="Ledger").wait_for()
    assert "account=rival" in page.url
    page = visitor.turn("/accounts/acme", "acme")
    page.get_by_text("Users of the portal").click()
    page.get_by_role("button", name="Add a person").click()
    expect(page.get_by_role("dialog").get_by_label("Account")).to_have_value("acme")
    page.keyboard.press("Escape")
    assert page.get_by_role("region", name="Accounts below").count() == 0


def test_an_account_that_was_moved_to_another_agent_is_not_shown_any_more(site: Watched, visit: Visit) -> None:
    keys = {"rate_group": "sell", "currency": "USD"}
    assert site.api.ask("PUT", "/accounts/moving", {"keys": {**keys, "agent": "reseller"}}).status in {200, 201}
    page = visit("agent", "reseller").go("/accounts/moving", "moving")
    page.get_by_role("definition").filter(has_text="0.00 USD").first.wait_for()
    assert site.api.ask("PUT", "/accounts/moving", {"keys": {**keys, "agent": "rival"}}).status == 200
    page.evaluate(TIME_PASSES)
    page.evaluate("dispatchEvent(new Event('visibilitychange'))")
    page.get_by_role("alert").filter(has_text="has no account moving").wait_for()
    expect(page.get_by_role("definition")).to_have_count(0)
    expect(page.get_by_role("main").get_by_role("button")).to_have_text(["Try again"])
    assert site.api.ask("DELETE", "/accounts/moving?confirm=true").status == 200


def test_calls_of_accounts_are_counted_by_the_switch(visit: Visit) -> None:
    visitor = visit()
    page, asked = visitor.page, list[str]()

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        found = route.fetch().json()
        for each in found.get("items", [found]):
            assert each["calls_now"] == 0
            each["calls_now"] = 12_345
        route.fulfill(json=found)

    page.route(re.compile("/calls[?]"), lambda route: asked.append(route.request.url) or route.abort())
    page.route(re.compile("[?&]calls=true"), answer)
    try:
        visitor.go("/lists/nothing", "There is no such page")
        visitor.turn("/accounts", "Accounts")
        acme = page.get_by_label("Accounts", exact=True).locator("tbody tr")
        acme = acme.filter(has=page.get_by_role("link", name="acme", exact=True))
        expect(acme).to_contain_text("12345")
        visitor.turn("/accounts/acme", "acme")
        expect(page.get_by_role("link", name="12345")).to_have_attribute("href", "/calls?account=acme")
        assert not [each for each in asked if "/calls?" in each]
    finally:
        page.unroute_all()


def test_the_page_of_an_account_is_read_again_as_the_lists_are_and_not_while_its_tab_is_hidden(
    site: Watched, newcomer: Visit
) -> None:
    visitor, asked = newcomer(), list[str]()
    page = visitor.page
    page.clock.install()
    page.on("request", lambda request: asked.append(request.url.partition("/api/v1")[2]))

    def readings(part: str) -> int:
        return sum(part in each for each in asked)

    def passes(seconds: int) -> None:
        page.clock.fast_forward(1_000 * seconds)

    visitor.go("/accounts/acme", "acme")
    page.get_by_label("Last calls", exact=True).locator("tbody tr").first.wait_for()
    entries = page.locator("section[aria-label='Last entries of the ledger'] tbody tr")
    page.wait_for_load_state("networkidle")
    paid = {"amount": "3.07", "memo": "paid meanwhile"}
    assert site.api.ask("POST", "/accounts/acme/payments", paid).status == 201
    passes(30)
    entries.filter(has_text="paid meanwhile").wait_for()
    balance = site.api.ask("GET", "/accounts/acme/balance").json["balance"]
    expect(page.locator("dl.facts dd").first).to_contain_text(balance)
    assert min(map(readings, ("balance?calls=true", "/cdrs?", "/accounts/acme/ledger"))) >= 2
    for _ in range(7):
        with page.expect_response(re.compile("balance[?]calls=true")):
            passes(30)
    assert 2 <= readings("consumption=true") <= readings("balance?calls=true") / 2, "the server adds up the calls of it"
    see(page, "hidden")
    page.wait_for_load_state("networkidle")
    before = len(asked)
    passes(600)
    assert page.evaluate("document.visibilityState") == "hidden"
    assert len(asked) == before
    with page.expect_response(re.compile("balance[?]calls=true")):
        see(page, "visible")


def test_the_first_page_of_a_customer_reads_its_balance_more_often_than_the_server_adds_up_its_calls(
    newcomer: Visit,
) -> None:
    visitor, asked = newcomer("customer", "acme"), list[str]()
    page = visitor.page
    page.clock.install()
    page.on("request", lambda request: asked.append(request.url.partition("/api/v1")[2]))
    visitor.go("/", "acme")
    expect(page.locator("dl.facts")).to_contain_text(re.compile(r"Today[^\d]*\d"))
    for _ in range(8):
        with page.expect_response(re.compile("balance[?]calls=true")):
            page.clock.fast_forward(30_000)
    balances, sums = (
        sum(part in each for each in asked) for part in ("balance?calls=true", "balance?consumption=true")
    )
    assert balances >= 9
    assert 2 <= sums <= balances / 2, [each for each in asked if each]


def test_the_whole_of_a_gateway_fits_a_telephone(boss: Visitor) -> None:
    page = boss.go("/gateways/carrier-a", "carrier-a")
    page.locator("details").first.evaluate("each => { each.open = true }")
    expect(page.get_by_text("defined", exact=True).first).to_be_visible()
    fits_a_telephone(page)


def test_the_last_day_of_a_gateway_goes_on_while_its_page_is_open(newcomer: Visit) -> None:
    visitor, asked = newcomer(), list[str]()
    page = visitor.page
    page.clock.install()
    page.on("request", lambda request: asked.append(request.url))
    reports = "routing-gateways", "profit-gateways"
    day, margin = (re.compile(f"/reports/{report}[?]") for report in reports)

    def begins(report: str) -> list[str]:
        return [parse_qs(urlsplit(each).query)["since"][0] for each in asked if f"/reports/{report}?" in each]

    with page.expect_response(day), page.expect_response(margin):
        visitor.go("/gateways/carrier-a", "carrier-a")
    # an answer sets the time of the next question only once the page has read it
    page.wait_for_load_state("networkidle")
    for _ in range(2):  # its quality is read meanwhile, the sums of the day are not
        with page.expect_response(re.compile("/gateways/quality")):
            page.clock.fast_forward(130_000)
        page.wait_for_load_state("networkidle")
    assert [len(begins(report)) for report in reports] == [1, 1]
    with page.expect_response(day), page.expect_response(margin):
        page.clock.fast_forward(900_000)
    for report in reports:
        assert begins(report)[0] < begins(report)[-1], report
        assert all(re.search(r":(00|15|30|45):00\.000Z$", each) for each in begins(report))


def test_the_profit_of_today_is_of_the_next_day_behind_midnight_also_where_nothing_has_changed(newcomer: Visit) -> None:
    visitor = newcomer(zone="UTC")
    page, day = (
        visitor.page,
        datetime.fromtimestamp(time_ns() / 1_000_000_000, UTC).replace(hour=0, minute=0, second=0, microsecond=0),
    )
    times = [day - timedelta(minutes=5)]

    def dated(route: Route) -> None:
        if "/events" in route.request.url:
            route.abort()
            return
        answer = route.fetch()
        route.fulfill(response=answer, headers=answer.headers | {"date": format_datetime(times[-1], usegmt=True)})

    def is_of(day: datetime) -> Callable[[Request], bool]:
        begin = f"since={day:%Y-%m-%d}T00"
        return lambda request: "/reports/profit-vendors?" in request.url and begin in request.url

    page.route("**/api/v1/**", dated)
    page.clock.install(time=times[0])
    with page.expect_request(is_of(day - timedelta(days=1))):
        visitor.go("/accounts/vendors", "vendors")
    page.wait_for_load_state("networkidle")
    times.append(day + timedelta(minutes=5))
    with page.expect_request(is_of(day)):
        page.clock.fast_forward(600_000)
        page.clock.run_for(2_000)
    page.unroute_all(behavior="wait")


def test_balances_stand_without_what_accounts_were_charged_today_which_a_search_reads_of_those_found(
    visit: Visit,
) -> None:
    visitor = visit()
    page, asked = visitor.page, list[str]()
    charged = {"id": "acme", "charged_today": "47.11", "gateways": 313, "phones": 717}
    refusal = made_problem(HTTPStatus.SERVICE_UNAVAILABLE, "store_unavailable", "try again")

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        if is_well:
            route.fulfill(json=made_page(route.request, [charged]))
        else:
            route.fulfill(status=503, json=refusal)

    page.route(re.compile(r"/balances\?.*consumption=true"), answer)
    acme = page.get_by_label("Accounts", exact=True).locator("tbody tr")
    acme = acme.filter(has=page.get_by_role("link", name="acme", exact=True))
    try:
        is_well = False
        visitor.go("/lists/nothing", "There is no such page")
        visitor.turn("/accounts?q=acme", "Accounts")
        expect(acme).to_contain_text("USD")
        with page.expect_response(re.compile(r"accounts=acme&|accounts=acme$|accounts=acme%2C")):
            page.get_by_label("Filter").fill("acm")
        assert not any("accounts=" not in each for each in asked)
        with page.expect_response(re.compile("consumption=true")):
            page.get_by_label("Filter").fill("")
        expect(acme).to_contain_text("USD")
        expect(page.get_by_role("alert")).to_have_count(0)
        is_well = True
        visitor.turn("/lists/nothing", "There is no such page")
        visitor.go("/accounts", "Accounts")
        expect(acme).to_contain_text("47.11")
        with page.expect_request(re.compile("consumption=true.*accounts=acme|accounts=acme.*consumption=true")):
            page.get_by_label("Filter").fill("acm")
        expect(page.get_by_label("Accounts", exact=True).locator("tbody tr")).to_have_count(1)
        for each in ("47.11", "313", "717"):
            expect(acme).to_contain_text(each)
    finally:
        page.unroute_all()


def test_a_route_is_explained_by_a_link(visit: Visit) -> None:
    page = visit().go("/try?gateway=acme-pbx&caller=1202&callee=4410111", "Try a call")
    page.get_by_text("0.60 USD a minute, prefix 44, group sell").wait_for()
    expect(page.get_by_label("Candidates in their order").locator("tbody tr")).to_have_count(1)
    expect(page.get_by_text("By the configuration, calendars")).to_have_count(0)
    page.get_by_label("Called number").fill("999")
    page.get_by_role("button", name="Explain").click()
    expect(page.get_by_text("Result:")).not_to_contain_text("ok")
    steps = page.get_by_role("list", name="Steps of admission").get_by_role("listitem")
    expect(steps.filter(has_text="passed")).not_to_have_count(0)
    expect(steps.filter(has_text="refused")).to_have_count(1)
    expect(steps.last).to_contain_text("money is there and reserved: not reached")
    assert page.url.endswith("callee=999")
    page.go_back()
    expect(page.get_by_text("Result:")).to_contain_text("ok")
    expect(page.get_by_label("Called number")).to_have_value("4410111")


def test_a_route_of_a_moment_says_what_it_does_not_consider_and_margins_are_in_the_customers_currency(
    visit: Visit,
) -> None:
    page = visit().page

    def in_euros(route: Route) -> None:
        answer = route.fetch().json()
        for sheet in (answer, answer["sheet"]):
            for each in sheet["candidates"]:
                each |= {"currency": "EUR", "cost": "0.1", "margin": "0.5"}
        route.fulfill(json=answer)

    page.route("**/api/v1/routes/explain", in_euros)
    try:
        visit().go("/try?gateway=acme-pbx&caller=1202&callee=4410111&at=2099-01-01T00:00:00Z", "Try a call")
        page.get_by_text("By the configuration, calendars").wait_for()
        row = page.get_by_label("Candidates in their order").locator("tbody tr")
        expect(row).to_contain_text("EUR")
        expect(row).to_contain_text("USD")
        assert {"0.1 EUR", "0.5 USD"} <= {*row.get_by_role("cell").all_inner_texts()}
    finally:
        page.unroute_all()


def test_a_route_is_explained_without_the_prices_that_a_person_may_not_see(site: Watched, visit: Visit) -> None:
    assert site.api.ask("PUT", "/roles/dispatcher", {"permissions": ["routes.see"]}).status == 200
    page = visit("dispatcher").go("/try?gateway=acme-pbx&caller=1202&callee=4410111", "Try a call")
    expect(page.get_by_text("Result:")).to_contain_text("ok")
    table = page.get_by_label("Candidates in their order")
    expect(table.locator("tbody tr")).to_have_count(1)
    headings = table.get_by_role("columnheader").all_inner_texts()
    assert "Prefix" in headings
    assert not {"Cost", "Margin"} & {*headings}
    expect(page.get_by_text("may not see are left out")).to_contain_text("See rates, See the books as a whole")
    shown = page.inner_text("main")
    assert not [each for each in ("undefined", "NaN", "a minute", "0.60") if each in shown]
    assert violations(page) == []


def test_a_payment_takes_two_steps_and_is_booked_once(site: Watched, visit: Visit) -> None:
    page = visit().go("/accounts/rival", "rival")
    before = Decimal(site.api.ask("GET", "/accounts/rival/balance").json["balance"])
    page.get_by_role("button", name="Book a payment").click()
    expect(page.get_by_label("Amount in USD")).to_be_focused()
    page.keyboard.type("1234.56")
    page.get_by_label("Memo").fill(MARKUP)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("dialog")).to_contain_text("Book 1\u202f234.56 USD on rival?")
    assert Decimal(site.api.ask("GET", "/accounts/rival/balance").json["balance"]) == before
    page.get_by_role("button", name="Book", exact=True).dblclick()
    page.get_by_role("status").get_by_text("rival: booked 1\u202f234.56 USD, the balance is").wait_for()
    expect(page.get_by_role("button", name="Book a payment")).to_be_focused()
    expect(page.get_by_label("Last entries of the ledger")).to_contain_text(MARKUP)
    assert Decimal(site.api.ask("GET", "/accounts/rival/balance").json["balance"]) == before + Decimal("1234.56")

    route_once(page, "**/accounts/rival/payments", lose_the_answer)
    page.get_by_role("button", name="Book a payment").click()
    page.get_by_label("Amount in USD").fill("2.22")
    page.get_by_label("Memo").fill("memo a")
    page.get_by_role("button", name="Continue").click()
    asked = page.get_by_role("dialog")
    asked.get_by_role("button", name="Book", exact=True).click()
    asked.get_by_text("It may have been carried out all the same").wait_for()
    page.keyboard.press("Escape")
    page.get_by_label("Memo").fill("memo b")
    page.get_by_role("button", name="Continue").click()
    asked.get_by_text("An order before this one had no answer: it may have been carried out").wait_for()
    page.keyboard.press("Escape")
    page.get_by_label("Memo").fill("memo a")
    page.get_by_role("button", name="Continue").click()
    expect(asked).to_contain_text("Book 2.22 USD on rival?")
    expect(asked.get_by_text("An order before this one")).to_have_count(0)
    asked.get_by_role("button", name="Book", exact=True).click()
    page.get_by_text("Nothing was done now: the same had been ordered before").wait_for()
    before += Decimal("2.22")

    page.get_by_role("button", name="Book a payment").click()
    page.get_by_label("Amount in USD").fill("-1234.56")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("dialog")).to_contain_text("Continue")  # a payment below zero is not asked about
    page.get_by_role("dialog").get_by_label("Type").select_option("adjustment")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("dialog")).to_contain_text("Adjust rival by -1\u202f234.56 USD?")
    page.get_by_role("button", name="Book", exact=True).click()
    page.get_by_role("status").get_by_text("rival: booked -1\u202f234.56 USD").wait_for()
    assert Decimal(site.api.ask("GET", "/accounts/rival/balance").json["balance"]) == before
    page.get_by_role("button", name="Undo").dblclick()
    page.get_by_role("status").get_by_text("rival: booked 1\u202f234.56 USD").wait_for()
    assert Decimal(site.api.ask("GET", "/accounts/rival/balance").json["balance"]) == before + Decimal("1234.56")


def test_an_address_that_would_read_all_calls_is_of_the_last_day(visit: Visit) -> None:
    page = visit().go("/cdrs?answered=false", "Call search")
    expect(page).to_have_url(re.compile("answered=.*since=|since=.*answered="))
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_refusal_is_shown_with_its_remedy(visit: Visit) -> None:
    page = visit().go("/cdrs?since=yesterday", "Call search")
    said = page.get_by_role("alert")
    expect(said).to_contain_text("since")
    said.get_by_role("button", name="Try again").wait_for()


def test_an_account_and_a_gateway_are_blocked_after_a_question_and_freed(site: Watched, visit: Visit) -> None:
    visitor = visit()
    for path, page in visitor.each({"/accounts/other": "other", "/gateways/carrier-c": "carrier-c"}):
        page.get_by_role("button", name="Block", exact=True).click()
        asked = page.get_by_role("dialog")
        route_once(page, "**/api/v1/*/*/block", lambda route: route.abort())
        asked.get_by_role("button", name="Block").click()
        expect(asked.get_by_role("alert")).to_contain_text("The switch does not answer")
        expect(asked).to_contain_text("is not done twice")
        asked.get_by_role("button", name="Block").click()
        page.get_by_role("button", name="End the block").wait_for()
        assert [each["name"] for each in site.items("/overrides")] == [path.rpartition("/")[2]]
        page.get_by_role("button", name="End the block").click()
        page.get_by_role("button", name="Block", exact=True).wait_for()
    assert site.items("/overrides") == []


def test_a_block_is_set_anew_where_one_whose_answer_was_lost_has_ended(site: Watched, visit: Visit) -> None:
    visitor = visit()
    for path, page in visitor.each({"/accounts/other": "other", "/gateways/carrier-c": "carrier-c"}):
        page.get_by_role("button", name="Block", exact=True).click()
        asked = page.get_by_role("dialog")
        route_once(page, "**/api/v1/*/*/block", lose_the_answer)
        asked.get_by_role("button", name="Block").click()
        asked.get_by_role("alert").wait_for()
        asked.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="End the block").click()
        page.get_by_role("button", name="Block", exact=True).click()
        asked.get_by_role("button", name="Block").click()
        asked.wait_for(state="hidden")
        assert [each["name"] for each in site.items("/overrides")] == [path.rpartition("/")[2]]
        page.get_by_role("button", name="End the block").click()
        page.get_by_role("button", name="Block", exact=True).wait_for()


def test_the_block_of_a_gateway_is_ended_only_where_the_page_has_read_it(site: Watched, visit: Visit) -> None:
    page, held, is_late = visit().go("/gateways/carrier-c", "carrier-c"), list[Route](), True
    page.get_by_role("button", name="Block", exact=True).wait_for()

    def hold(route: Route) -> None:
        if is_late:
            held.append(route)
        else:
            route.continue_()

    page.route("**/api/v1/overrides?name=carrier-c", hold)
    assert site.api.ask("POST", "/gateways/carrier-c/block", {}).status == 200
    page.get_by_text("blocked", exact=True).first.wait_for()
    expect(page.get_by_role("button", name="End the block")).to_have_count(0)
    is_late = False
    for route in held:
        route.continue_()
    page.get_by_role("button", name="End the block").click()
    page.get_by_role("button", name="Block", exact=True).wait_for()
    assert site.items("/overrides") == []


def test_an_account_that_is_closed_has_no_block_to_end(visit: Visit) -> None:
    def closed(route: Route) -> None:
        found = route.fetch()
        route.fulfill(response=found, json={**found.json(), "blocked": True, "closed": True})

    visitor = visit()
    visitor.page.route("**/accounts/other/balance?*", closed)
    page = visitor.go("/accounts/other", "other")
    page.get_by_role("button", name="Block", exact=True).wait_for()
    expect(page.get_by_role("button", name="End the block")).to_have_count(0)
    page.unroute("**/accounts/other/balance?*")


def test_an_account_is_locked_with_the_calls_to_it(site: Watched, visit: Visit) -> None:
    page = visit().go("/accounts/other", "other")
    page.get_by_role("button", name="Block", exact=True).click()
    asked = page.get_by_role("dialog")
    asked.get_by_label("Also refuse calls and texts to its phones and numbers").check()
    asked.get_by_role("button", name="Block").click()
    page.get_by_text("calls to it, too").wait_for()
    assert [each["value"] for each in site.items("/overrides")] == ["incoming"]
    assert violations(page) == []
    page.get_by_role("button", name="End the block").click()
    page.get_by_role("button", name="Block", exact=True).click()
    expect(asked.get_by_role("checkbox")).not_to_be_checked()  # what was chosen before holds for that block alone
    asked.get_by_role("button", name="Cancel").click()
    assert site.items("/overrides") == []


def test_the_block_that_a_colleague_has_set_meanwhile_is_shown_and_not_ended(site: Watched, visit: Visit) -> None:
    visitor = visit()
    for place, name in (("/accounts/other", "other"), ("/gateways/carrier-c", "carrier-c")):
        assert site.api.ask("POST", f"{place}/block", {"memo": "does not pay"}).status == 200
        page = visitor.go(place, name)
        page.get_by_text("does not pay").first.wait_for()
        assert site.api.ask("DELETE", f"{place}/block").status == 200
        assert site.api.ask("POST", f"{place}/block", {"memo": "fraud"}).status == 200
        page.get_by_role("button", name="End the block").click()
        page.get_by_role("alert").filter(has_text=f"blocked of {name} was set anew at").wait_for()
        page.get_by_text("fraud").first.wait_for()
        assert [each["memo"] for each in site.items("/overrides")] == ["fraud"]
        assert violations(page) == []
        page.get_by_role("button", name="End the block").click()
        page.get_by_role("button", name="Block", exact=True).wait_for()
        assert site.items("/overrides") == []


def test_the_block_that_a_colleague_has_set_behind_an_open_question_is_not_replaced(
    site: Watched, visit: Visit
) -> None:
    visitor = visit()
    for place, name, more in (
        ("/accounts/other", "other", {"incoming": True}),
        ("/gateways/carrier-c", "carrier-c", {}),
    ):
        page = visitor.go(place, name)
        page.get_by_role("button", name="Block", exact=True).click()
        asked = page.get_by_role("dialog")
        asked.wait_for()
        assert site.api.ask("POST", f"{place}/block", {"memo": "fraud", **more}).status == 200
        asked.get_by_role("button", name="Block").click()
        expect(asked.get_by_role("alert")).to_contain_text("This is not as you have opened it any more")
        (block,) = site.items("/overrides")
        assert (block["memo"], block["value"]) == ("fraud", "incoming" if more else None)
        asked.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="End the block").click()
        page.get_by_role("button", name="Block", exact=True).wait_for()
        assert site.items("/overrides") == []


def test_a_change_that_the_switch_has_not_taken_says_so_on_whatever_page_it_was_made(
    site: Watched, visit: Visit
) -> None:
    page, why = visit().go("/accounts/other", "other"), "no answer in time"
    untold = page.get_by_text(f"the running switch has not taken it yet: {why}")

    def untaken(route: Route) -> None:
        answer = route.fetch()
        said = answer.json()
        for each in said.get("receipts", [said]):
            each["untold"] = why
        route.fulfill(response=answer, json=said)

    route_once(page, "**/accounts/other/block", untaken)
    page.get_by_role("button", name="Block", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Block").click()
    untold.wait_for()
    assert violations(page) == []
    page.get_by_role("button", name="End the block").click()  # which the switch takes
    untold.wait_for(state="detached")
    page.get_by_role("button", name="Block", exact=True).wait_for()  # else its words come over those of the transfer
    site.api.ask("POST", "/accounts/rival/payments", {"amount": "1"})
    page = visit().turn("/payments?tab=transfer", "Payments")
    for field, value in (("From account", "rival"), ("To account", "other"), ("Amount", "1")):
        page.get_by_label(field).fill(value)
    route_once(page, "**/transfers", untaken)
    page.get_by_role("button", name="Transfer", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Transfer", exact=True).click()
    untold.wait_for()
    page.get_by_role("alert").get_by_role("button", name="Close").click()
    expect(untold).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("rival: booked 1.00").wait_for()
    assert site.items("/overrides") == []


def _of_row(number: int, value: object) -> object:
    return value + number if isinstance(value, int) else f"{value}{number}" if value == "row " else value


class LongList:
    """A list of the API that has as many rows as the test says, instead of those of the switch."""

    def __init__(self, page: Page, path: str, row: dict[str, object]) -> None:
        self.length = 0
        self._row = row
        page.route(re.compile(rf"/api/v1{path}\\?"), self._answer)

    def _answer(self, route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        begin, limit = int(query.get("cursor", ["0"])[0]), int(query["limit"][0])
        numbers = range(begin, min(begin + limit, self.length))
        rows = [{name: _of_row(n, value) for name, value in self._row.items()} for n in numbers]
        more = begin + limit < self.length
        route.fulfill(json=made_page(route.request, rows, str(begin + limit) if more else None))


@pytest.mark.parametrize(
    ("page_of", "path", "label", "row", "rows_of_a_page"),
    [
        ("/accounts", "/balances", "Accounts", {"id": "row ", "currency": "USD", "balance": "1.00"}, 1_000),
        ("/gateways", "/gateways/quality", "Gateways", {"gateway": "row ", "kind": "routing", "state": "up"}, 1_000),
        ("/cdrs", "/cdrs", "Call search", {"call_id": "row ", "callee_in": "row "}, 200),
        ("/payments?account=acme", "/payments", "Booked", {"id": 1, "reference": "row ", "amount": "1"}, 200),
        ("/payments?tab=waiting", "/waiting-payments", "Waiting for a second person", {"id": 7, "memo": "row "}, 200),
        ("/invoices", "/invoices", "Invoices", {"id": 1, "number": "row "}, 200),
        ("/bills", "/reconciliations", "Vendors' bills", {"id": 1, "file": "row "}, 200),
        ("/rates", "/rates/groups", "Rate groups", {"name": "row "}, 200),
        (
            "/alarms?history=1",
            "/alarms",
            "Alarms",
            {"alarm": "row ", "subject": "x", "cleared_at": "2026-03-01"},
            1_000,
        ),
        ("/lists/audit", "/audit", "Audit", {"id": 1, "subject": "row ", "action": "BookPayment"}, 200),
        ("/objects/phones", "/phones", "Phones", {"name": "row "}, 200),
        ("/months?month=2026-02", "/statements/2026-02", "Statements", {"account": "row ", "movements": []}, 200),
    ],
)
def test_a_list_says_that_it_is_longer_than_a_page_and_is_read_to_its_end_and_one_without_rows_says_so(
    visit: Visit, page_of: str, path: str, label: str, row: dict[str, object], rows_of_a_page: int
) -> None:
    visitor = visit()
    page = visitor.page
    shown = LongList(page, path, row)
    try:
        visitor.go(page_of)
        table = page.get_by_role("region", name=label, exact=True)
        counted = page.get_by_role("status").filter(has_text=re.compile(r"^\d+ rows"))
        expect(table).to_contain_text("Nothing here")
        expect(counted).to_have_text("0 rows")
        shown.length = 2 * rows_of_a_page + 50
        visitor.turn("/lists/nothing", "There is no such page")
        visitor.go(page_of)
        # one whose rows are chosen in the browser is read to its end at once
        for number in () if label == "Gateways" else (1, 2):
            expect(counted).to_have_text(f"{number * rows_of_a_page} rows, and more")
            table.focus()
            page.keyboard.press("End")
        expect(counted).to_have_text(f"{shown.length} rows")
        expect(table).to_contain_text("row ")
    finally:
        page.unroute_all()


def test_a_printed_list_has_all_rows_that_were_read_and_no_menu(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    shown = LongList(page, "/cdrs", {"call_id": "row ", "callee_in": "row "})
    shown.length = 250
    try:
        visitor.go("/cdrs", "Call search")
        rows = page.get_by_role("region", name="Call search", exact=True).locator("tr[data-index]")
        page.get_by_text("200 rows, and more").wait_for()
        assert rows.count() < 100
        page.emulate_media(media="print")
        expect(rows).to_have_count(200)
        expect(page.get_by_text("200 rows, and more")).to_be_visible()
        for hidden in (page.locator(".mantine-AppShell-navbar"), page.get_by_role("button", name="CSV")):
            expect(hidden).to_be_hidden()
        box = page.locator(".table-frame")
        assert box.evaluate("each => each.scrollHeight <= each.clientHeight")
        page.emulate_media(media="screen")
        expect(rows).not_to_have_count(200)
        drawn = "document.querySelectorAll('[data-index]').length"
        begin = f"() => {{ dispatchEvent(new Event('beforeprint')); return {drawn}; }}"
        assert page.evaluate(begin) == 200, "Firefox copies the page before it says by the media that it is on paper"
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        expect(rows).not_to_have_count(200)
    finally:
        page.emulate_media(media="null")
        page.unroute_all()


def test_a_long_table_is_printed_up_to_a_row_and_says_so(newcomer: Visit) -> None:
    """A comparison of two sheets of rates has up to 120,000 rows, which a browser draws for minutes."""

    def many(route: Route) -> None:
        found = route.fetch()
        (first, *_) = found.json()["areas"]
        areas = [{**first, "area": f"area {number}"} for number in range(3_002)]
        route.fulfill(response=found, json={**found.json(), "areas": areas})

    visitor = newcomer()
    visitor.page.route("**/rates/groups/sell/areas", many)
    page = visitor.go("/rates/sell", "sell")
    page.get_by_text("area 0", exact=True).wait_for()
    printed = page.evaluate("""() => {
        dispatchEvent(new Event("beforeprint"));
        const rows = [...document.querySelectorAll(".table-frame tbody tr")];
        const printed = [rows.length, rows.at(-1).innerText];
        dispatchEvent(new Event("afterprint"));
        return printed;
    }""")
    assert printed == [3_001, "Only the first 3000 rows are printed or copied. Left out: 2."]


def test_a_list_that_is_copied_with_its_page_has_all_rows_that_were_read(newcomer: Visit) -> None:
    """A spreadsheet that the rows are pasted into lacked those that were not drawn."""
    visitor = newcomer()
    page = visitor.page
    page.context.grant_permissions(["clipboard-read"])
    shown = LongList(page, "/cdrs", {"call_id": "row ", "callee_in": "row "})
    shown.length = 250
    visitor.go("/cdrs", "Call search")
    rows = page.get_by_role("region", name="Call search", exact=True).locator("tr[data-index]")
    page.get_by_text("200 rows, and more").wait_for()
    page.keyboard.press("Control+A")
    page.keyboard.press("Control+C")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert re.findall(r"\trow (\d+)\t", copied) == [*map(str, range(200))]
    expect(rows).not_to_have_count(200)


def test_times_of_a_page_that_stays_open_over_midnight_have_their_day(newcomer: Visit) -> None:
    visitor = newcomer()
    page = visitor.page
    page.clock.install()
    first = visitor.go("/lists/audit", "Audit").locator("td time").first
    expect(first).to_have_text(re.compile(r"^[\d:]{8}$"))
    shown = first.inner_text()
    page.context.set_offline(True)  # answers would say that no day has passed
    page.clock.fast_forward(24 * 3_600_000)
    expect(first).to_have_text(re.compile(rf"^[\d-]{{10}} {shown}$"))


def test_figures_stand_in_one_line_on_paper(visit: Visit) -> None:
    page = visit(size=(500, 700)).go("/accounts", "Accounts")
    page.locator(".table-frame td.end").first.wait_for()
    try:
        page.emulate_media(media="print")
        lines = page.locator(".table-frame td.end").evaluate_all(LINES)
        assert len(lines) > 5
        assert max(lines) == 1
    finally:
        page.emulate_media(media="null")


def test_a_dark_page_is_light_on_paper(visit: Visit) -> None:
    page = visit().go("/accounts", "Accounts")
    scheme = page.locator("html")
    try:
        page.emulate_media(color_scheme="dark")
        expect(scheme).to_have_attribute("data-mantine-color-scheme", "dark")
        page.emulate_media(media="print")
        expect(scheme).to_have_attribute("data-mantine-color-scheme", "light")
        page.emulate_media(media="screen")
        expect(scheme).to_have_attribute("data-mantine-color-scheme", "dark")
    finally:
        page.emulate_media(media="null", color_scheme="null")


def test_what_is_chosen_is_seen_in_the_colours_of_the_system_alone(visit: Visit) -> None:
    page = visit().go("/calls", "Calls now")
    page.emulate_media(forced_colors="active")
    try:
        menu = page.get_by_role("navigation").get_by_role("link")
        background = "each => getComputedStyle(each).backgroundColor"
        label = page.locator(".mantine-SegmentedControl-label")
        for chosen, other in (
            (menu.filter(has_text="Calls now"), menu.filter(has_text="Call search")),
            (label.filter(has_text="nothing"), label.filter(has_text="vendor")),
        ):
            assert chosen.evaluate(background) != other.evaluate(background)
        assert violations(page) == []
        box = visit().go("/gateways/carrier-b", "carrier-b").get_by_role("checkbox")
        expect(box).to_be_checked()
        checked = box.evaluate(background)
        box.uncheck()
        assert box.evaluate(background) != checked
        track = visit().go("/alarms", "Alarms").locator(".mantine-Switch-track")
        assert track.evaluate(background) != page.locator("main").evaluate(background)
        page = visit().go("/new/calendars", "New: Calendars")
        page.get_by_role("button", name="Add to entries").click()
        chosen, other = (page.locator(f"[aria-pressed={each}]").first for each in ("true", "false"))
        assert chosen.evaluate(background) != other.evaluate(background)
        page = visit().go("/compare", "Compare gateways")
        page.get_by_role("combobox").first.click()
        page.get_by_role("option").first.wait_for()  # arrows find no option before
        page.keyboard.press("ArrowDown")
        reached = page.locator("[role=option][data-combobox-selected]")
        assert reached.evaluate(background) != page.locator(".mantine-Select-dropdown").first.evaluate(background)
    finally:
        page.emulate_media(forced_colors="null")


def test_what_callers_choose_is_text(site: Watched, visit: Visit) -> None:
    """A name in a From header, a user agent and a memo are markup."""
    callee = site.stage.number("4420")
    with (
        Peer(VENDORS["carrier-b"]) as first,
        Peer(VENDORS["carrier-c"]) as second,
        Peer(site.stage.endpoint_of("acme")) as caller,
    ):
        call = OutgoingCall(caller, API_SWITCH, callee, caller="%3Cscript%3Ealert(1)%3C%2Fscript%3E")
        call.invite()
        for vendor, status in ((first, 503), (second, 486)):
            vendor.reply(vendor.expect("INVITE"), status, tag="vendor")
            vendor.expect("ACK")
        assert call.refused().status == 486
    record = site.stage.record_of(callee)
    visitor = visit()
    paths = (f"/cdrs?callee={callee}", f"/cdrs/{record['call_id']}", "/lists/audit", "/lists/ledger")
    for _, page in visitor.each(dict.fromkeys(paths)):
        expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
        assert page.locator("main script, main img").count() == 0


@pytest.mark.parametrize(
    ("role", "account", "sees", "not_"),
    [
        ("viewer", None, "Gateways", "Tokens"),
        ("finance", None, "Ledger", "Tokens"),
        ("customer", "acme", "Call search", "Gateways"),
        ("agent", "reseller", "Accounts", "Audit"),
    ],
)
def test_each_role_sees_its_screens(visit: Visit, role: str, account: str | None, sees: str, not_: str) -> None:
    page = visit(role, account).go("/")
    places = page.get_by_role("navigation", name="Main navigation")
    expect(page.get_by_role("navigation").filter(has=page.get_by_role("link", name=sees, exact=True))).to_have_count(1)
    places.get_by_role("link", name=sees, exact=True).wait_for()
    expect(places.get_by_role("link", name=not_, exact=True)).to_have_count(0)
    for link in places.get_by_role("link").all():
        if link.get_attribute("aria-current") != "page":
            page.locator("main h1").evaluate("title => { title.dataset.left = ''; }")
            link.click()
        page.locator(NEW_TITLE).wait_for()
        expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
        refused = page.get_by_role("alert").filter(has_text="Try again").filter(has_not_text="lacks the right")
        assert refused.all_inner_texts() == [], link.inner_text()
        assert page.get_by_text("does not have the right").count() == 0, link.inner_text()
    assert violations(page) == []


def test_a_role_of_ones_own_for_agents_has_the_accounts_below_on_its_first_page(site: Watched, visit: Visit) -> None:
    clerk = {"permissions": ["accounts.see", "money.see"], "acts_for": "agent"}
    assert site.api.ask("PUT", "/roles/clerk", clerk).status == 200
    page = visit("clerk", "reseller").go("/")
    expect(page.get_by_role("region", name="Accounts below").first).to_contain_text("acme")
    page = visit("customer", "acme").go("/")
    page.get_by_role("region", name="Invoices").first.wait_for()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("region", name="Accounts below")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_agent_has_the_accounts_directly_below_it_or_all_with_what_they_were_charged_today(
    site: Watched, visit: Visit
) -> None:
    for name, above in (("branch", "reseller"), ("desk", "branch")):
        keys = {"keys": {"agent": above, "rate_group": "sell", "currency": "USD"}}
        assert site.api.ask("PUT", f"/accounts/{name}", keys).status in {200, 201}
    assert site.api.ask("POST", "/accounts/desk/payments", {"amount": "31.70"}).status == 201
    visitor = visit("agent", "reseller")
    page = visitor.page

    def answer(route: Route) -> None:
        named = {"id": "branch", "charged_today": "47.11"}, {"id": "desk", "charged_today": "0.89"}
        route.fulfill(json=made_page(route.request, named if "all=true" in route.request.url else named[:1]))

    page.route(re.compile(r"/balances\?.*consumption=true"), answer)
    try:
        visitor.go("/lists/nothing", "There is no such page")
        visitor.turn("/", "reseller")
        below = page.locator("section.table-frame[aria-label='Accounts below']")
        names = below.get_by_role("link")
        expect(names).to_have_text(["acme", "branch"])
        branch = below.locator("tbody tr").filter(has_text="branch")
        expect(branch).to_contain_text("47.11")
        page.get_by_text("All", exact=True).click()
        expect(names.filter(has_text="desk")).to_have_count(1)
        desk = below.locator("tbody tr").filter(has=page.get_by_role("link", name="desk", exact=True))
        for each in ("branch", "31.70", "0.89"):
            expect(desk).to_contain_text(each)
        assert "tree=all" in page.url
        assert violations(page) == []
    finally:
        page.unroute_all()


def test_a_payment_of_an_agent_names_both_accounts(visit: Visit) -> None:
    page = visit("agent", "reseller").go("/accounts/acme", "acme")
    shared = {"type": "payment", "reference": "key", "currency": "USD", "repeated": False, "untold": "", "id": 1}
    receipts = [
        {"account": "reseller", "amount": "-2.50", "before": "3.00", "after": "0.50", **shared},
        {"account": "acme", "amount": "2.50", "before": "6.50", "after": "9.00", **shared},
    ]
    # the agent of the installation may book nothing
    route_once(
        page,
        "**/accounts/acme/payments",
        lambda route: route.fulfill(status=201, json={"receipts": receipts, "waiting": None}),
    )
    page.get_by_role("button", name="Book a payment").click()
    page.get_by_label("Amount in USD").fill("2.5")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("dialog", name="Move 2.5 USD from reseller to acme?")).to_be_visible()
    page.get_by_role("button", name="Book", exact=True).click()
    page.get_by_text(
        "reseller: booked -2.50 USD, the balance is 0.50 USD; acme: booked 2.50 USD, the balance is 9.00 USD"
    ).wait_for()


def test_an_agent_that_pays_to_its_own_account_is_asked_for_a_payment(visit: Visit) -> None:
    page = visit("agent", "reseller").go("/accounts/reseller", "reseller")
    page.get_by_role("button", name="Book a payment").click()
    page.get_by_label("Amount in USD").fill("3")
    page.get_by_role("button", name="Continue").click()
    asked = page.get_by_role("dialog", name="Book 3 USD on reseller?")
    expect(asked).not_to_contain_text("Both entries")


def test_the_page_of_an_agent_has_the_running_and_the_last_calls_of_the_accounts_below_it(
    site: Watched, visit: Visit
) -> None:
    running, records = (
        f"section.table-frame[aria-label='{label} of the accounts below'] tbody tr"
        for label in ("Calls now", "Last calls")
    )
    with conversing(site.stage, "4410") as (conversation,):
        conversation.establish()
        for visitor, path in ((visit("agent", "reseller"), "/"), (visit(), "/accounts/reseller")):
            page = visitor.go(path, "reseller")
            expect(page.locator(running)).to_have_count(1)
            expect(page.locator(running)).to_contain_text("acme")
            expect(page.locator(records).first).to_contain_text("acme")
            assert violations(page) == []
        fits_a_telephone(page)
        page.get_by_role("link", name="All that run").click()
        page.get_by_role("heading", level=1, name="Calls now").wait_for()
        page.get_by_text("1 call", exact=True).wait_for()
        page.get_by_role("button", name="Only accounts directly below reseller").click()
        expect(page).to_have_url(f"{visitor.base}/calls")
        page = visitor.go("/calls?agent=rival", "Calls now")
        page.get_by_text("0 calls", exact=True).wait_for()
        page = visitor.turn("/cdrs?agent=reseller&all=true", "Call search")
        expect(page.get_by_label("Below the agent")).to_have_value("reseller")
        expect(page.get_by_label("All accounts below it")).to_be_checked()
        expect(page.get_by_label("Call search", exact=True).locator("tbody tr").first).to_contain_text("acme")
        assert violations(page) == []
        conversation.hang_up()
    site.stage.expect_nothing_left()


def test_a_customer_sees_nothing_of_the_vendors(visit: Visit, site: Watched) -> None:
    record = refused_call(site)
    visitor = visit("customer", "acme")
    page = visitor.go("/cdrs", "Call search")
    expect(page.get_by_label("Call search")).to_contain_text(str(record["callee_in"]))
    assert "carrier" not in page.inner_text("body")
    places = page.get_by_role("navigation", name="Main navigation")
    expect(places.get_by_role("link", name="Agents", exact=True)).to_have_count(0)
    expect(page.get_by_label("Gateway", exact=True)).to_have_count(0)
    page.get_by_label("Mapping gateway").fill(str(record["mapping_gateway"]))
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page).to_have_url(re.compile("mapping_gateway="))
    expect(page.get_by_label("Call search")).to_contain_text(str(record["callee_in"]))
    page = visitor.go(f"/cdrs/{record['call_id']}", record["call_id"])
    page.get_by_role("tab", name="The whole record").click()
    assert "carrier" not in page.inner_text("body")
    page = visitor.turn("/gateways", "Gateways")
    page.get_by_text("Your role does not have the right for this: GET /gateways/quality").wait_for()
    page = visitor.turn("/calls", "Calls now")
    page.get_by_role("columnheader", name="Customer").wait_for()
    assert re.findall("vendor|to gateway", page.inner_text("main").lower()) == []
    page = visitor.go("/calls?group=vendor", "Calls now")  # as a link of an operator has it
    page.get_by_role("columnheader", name="Customer").wait_for()
    page = visitor.turn("/rates", "Rates")
    page.get_by_role("cell", name="USD", exact=True).first.wait_for()
    expect(page.get_by_role("main").get_by_role("link")).to_have_count(0)


@pytest.mark.parametrize(("path", "title"), [("/calls?q=acme", "Calls now"), ("/", "Overview")])
def test_a_session_that_ended_asks_to_log_in_and_shows_nothing_more(
    site: Watched, newcomer: Visit, path: str, title: str
) -> None:
    """The overview reads several lists at once, each of which is refused."""
    page = newcomer("viewer").go(path, title)
    name = page.get_by_role("button", name=re.compile("^p")).inner_text()
    site.daemon.succeed("user", "disable", name)
    page.get_by_role("heading", level=1, name="Log in").wait_for()
    page.get_by_text("Your session has ended").wait_for()
    assert "acme" not in page.inner_text("body")


def logged_in_again(page: Page, name: str) -> None:
    """Fill in the log-in over a page whose session has ended."""
    again = page.get_by_role("dialog", name="Log in")
    again.get_by_label("Name").fill(name)
    again.locator("input[autocomplete=current-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    again.wait_for(state="detached")


def test_what_was_entered_is_kept_while_the_same_person_logs_in_again(site: Watched, newcomer: Visit) -> None:
    page = newcomer().go("/accounts/rival", "rival")
    name = page.get_by_role("button", name=re.compile("^p")).inner_text()
    before = Decimal(site.api.ask("GET", "/accounts/rival/balance").json["balance"])
    page.get_by_role("button", name="Book a payment").click()
    page.get_by_label("Amount in USD").fill("12.5")
    page.get_by_label("Memo").fill("a long story")
    page.get_by_role("button", name="Continue").click()
    page.context.clear_cookies()
    page.get_by_role("button", name="Book", exact=True).click()
    page.get_by_text(f"log in as {name} to go on").wait_for()
    assert "rival" not in page.inner_text("body"), "what was shown is hidden"
    expect(page.locator("input[autocomplete=current-password]")).to_be_focused()
    assert violations(page) == []
    for _ in range(3):
        page.keyboard.press("Escape")
    logged_in_again(page, name)
    expect(page.get_by_role("dialog")).to_contain_text("Book 12.5 USD on rival?")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_count(0)
    assert Decimal(site.api.ask("GET", "/accounts/rival/balance").json["balance"]) == before, (
        "nothing goes out by itself"
    )
    page.get_by_role("button", name="Book", exact=True).click()
    page.get_by_text("rival: booked 12.50 USD").wait_for()
    expect(page.get_by_label("Last entries of the ledger")).to_contain_text("a long story")
    assert Decimal(site.api.ask("GET", "/accounts/rival/balance").json["balance"]) == before + Decimal("12.5")

    page.evaluate(GO, "/payments?tab=transfer&account=rival")
    page.get_by_label("Amount").fill("77")
    page.context.clear_cookies()
    page.get_by_role("tab", name="Booked").click()
    logged_in_again(page, name)
    expect(page.get_by_role("region", name="Booked")).to_contain_text("a long story")  # what is read waits for it
    page.get_by_role("link", name="Invoices").click()  # the form in the other tab asks before it is left
    page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Stay here").click()
    page.get_by_role("tab", name="Transfer").click()
    expect(page.get_by_label("Amount")).to_have_value("77")


def test_what_was_entered_is_said_to_be_gone_with_the_right_for_it(site: Watched, newcomer: Visit) -> None:
    page = newcomer("finance").go("/accounts/rival", "rival")
    name = page.get_by_role("button", name=re.compile("^p")).inner_text()
    page.get_by_role("button", name="Book a payment").click()
    page.get_by_label("Amount in USD").fill("12.5")
    page.get_by_role("button", name="Continue").click()
    assert site.api.ask("PUT", f"/people/{name}/role", {"role": "viewer"}).status == 200
    page.get_by_role("button", name="Book", exact=True).click()
    logged_in_again(page, name)
    gone = page.get_by_role("dialog", name="What you had entered is gone")
    expect(gone).to_contain_text("Your rights were changed meanwhile")
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("heading", level=1, name="rival")).to_be_focused()


def test_another_person_who_logs_in_over_a_form_begins_with_a_fresh_page(newcomer: Visit) -> None:
    other = newcomer("finance").go("/").get_by_role("button", name=re.compile("^p")).inner_text()
    page = newcomer().go("/payments?tab=transfer", "Payments")
    page.get_by_label("Memo").fill("for the eyes of one")
    page.context.clear_cookies()
    page.get_by_role("tab", name="Waiting").click()
    logged_in_again(page, other)
    page.get_by_role("button", name=other).wait_for()
    page.get_by_role("tab", name="Transfer").click()
    expect(page.get_by_label("Memo")).to_have_value("")
    assert not is_in_memory(page, "for the eyes of one")


def test_a_person_logs_out_and_in_again_with_the_code_of_the_second_factor(newcomer: Visit) -> None:
    visitor = newcomer()
    name, factor = with_second_factor(visitor)
    page = visitor.go("/accounts/acme", "acme")
    logged_in_beside(visitor, name, factor.recovery_code)
    page.get_by_role("button", name=name).click()
    route_once(page, "**/session", lambda route: route.abort())
    page.get_by_role("menuitem", name="Log out").click()
    still = page.get_by_role("dialog", name="You may still be logged in")
    expect(still).to_contain_text("Log out once more before you leave")
    still.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", level=1, name="Log in").wait_for()
    assert "acme" not in page.inner_text("body")
    page.get_by_label("Name").fill(name)
    page.locator("input[autocomplete=current-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("code")
    page.get_by_role("textbox", name="Code of the second factor").fill(factor.next_code)
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="acme").wait_for()
    assert not is_in_memory(page, PASSWORD)


def test_a_page_whose_browser_another_person_uses_by_now_says_so_and_shows_nothing_more(newcomer: Visit) -> None:
    other = newcomer("finance").go("/").get_by_role("button", name=re.compile("^p")).inner_text()
    visitor = newcomer()
    page = visitor.go("/accounts/acme", "acme")
    page.get_by_role("button", name="Block", exact=True).click()
    logged_in_beside(visitor, other)
    page.get_by_role("dialog").get_by_role("button", name="Block", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(f"{other} has logged in")
    assert "acme" not in page.inner_text("body")
    assert violations(page) == []
    page.keyboard.press("Enter")
    page.get_by_role("button", name=other).wait_for()
    page.get_by_role("heading", level=1, name="acme").wait_for()
    expect(page.get_by_text("is blocked")).to_have_count(0)


def test_a_window_that_is_only_looked_at_says_that_its_browser_is_used_by_another_person(newcomer: Visit) -> None:
    other = newcomer("finance").go("/").get_by_role("button", name=re.compile("^p")).inner_text()
    visitor = newcomer()
    page = visitor.go("/accounts/acme", "acme")
    logged_in_beside(visitor, other)
    page.context.new_page().goto(visitor.base)
    expect(page.get_by_role("alert")).to_contain_text(f"{other} has logged in")
    assert "acme" not in page.inner_text("body")


def test_a_window_that_reads_nothing_shows_nothing_more_where_another_one_has_logged_out(newcomer: Visit) -> None:
    """Pages of customers do not read the state of the switch beside, as those of operators do."""
    visitor = newcomer("customer", "acme")
    page = visitor.go("/cdrs?account=acme", "Call search")
    beside = page.context.new_page()
    beside.goto(visitor.base)
    beside.get_by_role("button", name=re.compile("^p")).click()
    beside.get_by_role("menuitem", name="Log out").click()
    page.get_by_text("Your session has ended").wait_for()
    assert "acme" not in page.inner_text("body")


def test_a_window_shows_nothing_more_of_a_session_that_ended_once_it_has_the_focus(
    site: Watched, newcomer: Visit
) -> None:
    page = newcomer("customer", "acme").go("/cdrs?account=acme", "Call search")
    name = page.get_by_role("button", name=re.compile("^p")).inner_text()
    site.daemon.succeed("user", "disable", name)
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.get_by_text("Your session has ended").wait_for()
    assert "acme" not in page.inner_text("body")


class SecondFactor(NamedTuple):
    """Codes by which a person logs in beside the password, each once."""

    next_code: str
    recovery_code: str


def with_second_factor(visitor: Visitor) -> tuple[str, SecondFactor]:
    """Set a second factor up before there is a page, whose requests would meet the session of before: its name."""
    asks, own = visitor.page.request, f"{visitor.base}/api/v1/session"
    session = asks.get(own).json()
    token = {"X-CSRF-Token": session["csrf"]}
    secret = b32decode(asks.post(f"{own}/totp", data={}, headers=token).json()["secret"])
    step = time_ns() // 1_000_000 // STEP_MS
    made = asks.put(f"{own}/totp", data={"code": code_at(secret, step)}, headers=token)
    assert made.ok, made.text()
    return session["name"], SecondFactor(code_at(secret, step + 1), made.json()["codes"][0])


def logged_in_beside(visitor: Visitor, name: str, code: str = "") -> None:
    """Log a person in in another tab of the browser."""
    order = {"name": name, "password": PASSWORD, "code": code}
    assert visitor.page.request.post(f"{visitor.base}/api/v1/session", data=order).ok


def changed(page: Page, method: str, path: str, order: dict[str, str]) -> dict[str, Any]:
    """Change something of the person by the API, in the session of the page."""
    answer: dict[str, Any] = page.evaluate(
        """async ([method, path, order]) => {
            const { csrf } = await (await fetch("/api/v1/session")).json();
            const headers = { "X-CSRF-Token": csrf, "Content-Type": "application/json" };
            const body = JSON.stringify(order);
            return (await fetch("/api/v1" + path, { method, headers, body })).json();
        }""",
        [method, path, order],
    )
    return answer


AT_WORK: Final[dict[str, Any]] = {"gateway": "at-work", "kind": "routing", "state": "up", "rest": None, "rest_s": None}
RESTING: Final = AT_WORK | {"state": "resting", "rest": SILENT, "rest_s": 30}
RAISED: Final = {
    "alarm": Event.GATEWAY_RESTING.value,
    "subject": "at-work",
    "text": f"gateway: at-work, address: 192.0.2.9:5060, why: {SILENT}",
    "do": REMEDIES[Event.GATEWAY_RESTING],
}


@pytest.mark.parametrize("is_raised", [False, True])
@pytest.mark.parametrize(
    ("language", "title", "alarm"), [("en", "Overview", "gateway_resting"), ("zh", "总览", "网关暂停")]
)
def test_the_first_load_is_small_and_nothing_comes_from_elsewhere(
    boss: Visitor, site: Watched, browser: Browser, language: str, title: str, alarm: str, *, is_raised: bool
) -> None:
    seen: list[tuple[str, int]] = []
    asked_for: list[str] = []
    rows = {"alarms": [RAISED], "quality": [RESTING]} if is_raised else {"alarms": [], "quality": [AT_WORK]}
    person = boss.page.context.storage_state()
    with logged_in(site, browser, person=person, language=language) as visitor:  # nothing is cached yet
        visitor.page.on(
            "requestfinished", lambda request: seen.append((request.url, request.sizes()["responseBodySize"]))
        )

        visitor.page.on("request", lambda request: asked_for.append(urlsplit(request.url).path))

        def answer(route: Route) -> None:
            asked = urlsplit(route.request.url).path.rpartition("/")[2]
            route.fulfill(json=made_page(route.request, rows[asked]))

        visitor.page.route(re.compile(r"/api/v1/(alarms|gateways/quality)\?"), answer)
        page = visitor.go("/", title)
        page.get_by_role("link", name=AT_WORK["gateway"]).first.wait_for()
        if is_raised:
            page.get_by_role("link", name=alarm).wait_for()
    page = site.api.ask("GET", "/", base="", token=None)
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert {url.split("/")[2] for url, _ in seen} == {visitor.base.split("/")[2]}
    assert 200_000 < sum(size for url, size in seen if "/api/" not in url) < 350_000
    of_language = [each for each in asked_for if each.startswith(f"/assets/{language}-")]
    assert len(of_language) == 1 + (is_raised and language != "en")  # of the server's texts those of the switch alone
    assert json.dumps(policy).count("nonce-") == 1


ASSETS: Final = ROOT / "vosd/api/console_files/assets"
MANTINE_CLASS: Final = re.compile(r"\bm_[0-9a-f]+\b")


def test_each_part_of_a_component_that_scripts_may_draw_has_its_style() -> None:
    """Styles are named one by one in ``console/src/mantine.css``; that one is forgotten is seen by few."""
    every = styled_by((ROOT / "console/node_modules/@mantine/core/styles.css").read_text())
    drawn = {each for file in ASSETS.glob("*.js") for each in MANTINE_CLASS.findall(file.read_text())}
    styled = {each for file in ASSETS.glob("*.css") for each in styled_by(file.read_text())}
    assert len(drawn & every) > 100
    assert (drawn & every) - styled == set()


def styled_by(text: str) -> set[str]:
    """Return the classes of Mantine that a sheet of styles names."""
    return set(re.findall(rf"(?<=\.){MANTINE_CLASS.pattern}", text))
