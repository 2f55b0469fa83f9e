"""The keyboard, the search, times and unsaved changes are the same at every screen of the console."""

import base64
import json
import re
from datetime import datetime
from html import escape
from time import time_ns
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from zoneinfo import ZoneInfo

import pytest
from api.watched import Watched, refused_call
from e2e.addresses import VENDORS
from e2e.conversation import conversing
from playwright.sync_api import Browser, Page, Route, expect

from console.conftest import (
    NARROW,
    PASSWORD,
    WIDE,
    Visit,
    Visitor,
    choose_zone,
    colour,
    english_in,
    fits_a_telephone,
    is_in_memory,
    lose_the_answer,
    route_once,
    violations,
)
from console.made_answers import made_answer, made_page
from vosd.admin.office.second_factor import STEP_MS, code_at

FADING: Final = (
    "[...new Set([...document.querySelectorAll('*')].map(each => getComputedStyle(each).transitionDuration))]"
)
"""The times for which parts of a page fade from one look to the next, each once."""

ENLARGED: Final = (320, 256)
"""Size of a window of 1280 by 1024 in which everything is four times as large."""
HEADER_PX: Final = 48
SEEN: Final = 3
"""Contrast that what says something has to have with what is around it (WCAG 2.2, 1.4.11)."""


def contrast(*colours: str) -> float:
    """Return the ratio of two colours as a browser writes them, in the terms of WCAG."""

    def luminance(text: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", text)[:3]]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted(map(luminance, colours))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.fixture(scope="module", autouse=True)
def record(site: Watched) -> dict[str, str]:
    """Have a call of acme."""
    return refused_call(site)


def test_what_is_not_saved_is_asked_about_before_it_is_lost(visit: Visit) -> None:
    page = visit().go("/gateways", "Gateways")
    page.get_by_role("link", name="Accounts", exact=True).click()
    page.get_by_label("Accounts", exact=True).get_by_role("link", name="acme", exact=True).click()
    page.get_by_role("button", name="Book a payment").click()
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)

    page.get_by_role("button", name="Book a payment").click()
    page.get_by_label("Amount in USD").fill("12")
    page.keyboard.press("Escape")
    asked = page.get_by_role("dialog", name="Leave without saving?")
    expect(asked.get_by_role("button", name="Stay here")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Amount in USD")).to_have_value("12")
    page.go_back()
    asked.wait_for()
    page.keyboard.press("Escape")
    page.wait_for_url("**/accounts/acme")
    page.go_back()
    asked.get_by_role("button", name="Leave").click()
    page.get_by_role("heading", level=1, name="Accounts").wait_for()


def test_going_back_leads_to_what_was_shown_before_each_choice(boss: Visitor) -> None:
    page = boss.go("/reports?name=daily", "Reports")
    for chosen in ("hour", "week"):
        page.get_by_role("combobox", name="By", exact=True).click()
        page.get_by_role("option", name=chosen, exact=True).click()
        expect(page).to_have_url(f"{boss.base}/reports?name=daily&group={chosen}")
    page.go_back()
    expect(page.get_by_role("combobox", name="By", exact=True)).to_have_value("hour")
    page.go_back()
    expect(page).to_have_url(f"{boss.base}/reports?name=daily")
    boss.turn("/gateways", "Gateways")
    page.get_by_label("Filter").press_sequentially("carrier")
    page.get_by_role("combobox", name="State").click()
    page.get_by_role("option", name="up", exact=True).click()
    expect(page).to_have_url(f"{boss.base}/gateways?q=carrier&state=up")
    page.go_back()
    expect(page).to_have_url(f"{boss.base}/gateways?q=carrier")  # a text that was typed is one step
    page.go_back()
    expect(page).to_have_url(f"{boss.base}/reports?name=daily")


def test_what_was_entered_goes_back_with_the_address(boss: Visitor) -> None:
    page = boss.go("/payments", "Payments")
    account = page.get_by_label("Account", exact=True)
    for entered in ("acme", "beta"):
        account.fill(entered)
        account.press("Enter")
        expect(page).to_have_url(f"{boss.base}/payments?account={entered}")
    page.get_by_role("combobox", name="Kind", exact=True).click()
    page.get_by_role("option", name="refund", exact=True).click()
    page.get_by_role("tab", name="Transfer").click()
    expect(page).to_have_url(f"{boss.base}/payments?account=beta&kind=refund&tab=transfer")
    page.go_back()
    expect(page.get_by_role("combobox", name="Kind", exact=True)).to_have_value("refund")
    page.go_back()
    expect(page).to_have_url(f"{boss.base}/payments?account=beta")
    expect(page.get_by_role("combobox", name="Kind", exact=True)).to_have_value("")
    page.go_back()
    expect(account).to_have_value("acme")
    page.go_back()
    expect(page).to_have_url(f"{boss.base}/payments")
    expect(account).to_have_value("")
    account.focus()
    account.blur()
    expect(page).to_have_url(f"{boss.base}/payments")


def test_nothing_moves_for_who_wants_no_motion_while_an_answer_is_awaited(newcomer: Visit) -> None:
    visitor = newcomer()
    page = visitor.go("/", "Overview")
    page.route("**/api/v1/balances*", lambda route: None)  # no answer comes
    visitor.turn("/accounts", "Accounts")
    page.get_by_text("Loading", exact=True).wait_for()
    page.wait_for_function("() => document.getAnimations().every(each => each.playState === 'finished')")
    assert page.evaluate(FADING) == ["0s"]
    expect(page.get_by_text("Loading", exact=True)).to_be_visible()


def test_rows_are_gone_through_by_the_keyboard_and_have_their_times_in_utc_there(
    visit: Visit, record: dict[str, str]
) -> None:
    page = visit().go("/", "Overview")
    page.keyboard.press("r")
    expect(page.get_by_role("heading", level=1, name="Call search")).to_be_focused()
    table = page.get_by_label("Call search", exact=True)
    row = table.locator("tbody tr").last  # the first call of all
    row.wait_for()
    table.focus()
    page.keyboard.press("End")
    expect(row).to_be_focused()
    shown = "e => getComputedStyle(e.querySelector('time'), '::after').content"
    moment = record["started_at"][:19].replace("T", " ")
    assert row.evaluate(shown) == f'"{moment} UTC"'
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=record["call_id"])).to_be_focused()
    page.go_back()
    page.get_by_role("heading", level=1, name="Call search").wait_for()


def test_a_time_in_utc_hides_no_link_that_has_the_focus(site: Watched, visit: Visit) -> None:
    assert site.api.ask("POST", "/accounts/acme/payments", {"amount": "1", "reference": "hidden"}).status == 201
    page = visit().go("/payments", "Payments")
    link = page.get_by_label("Booked", exact=True).get_by_role("link", name="acme", exact=True).first
    link.wait_for()
    page.keyboard.press("Tab")  # by the keyboard from here on
    link.focus()
    covers = """link => {
        const { left, top, width, height } = link.getBoundingClientRect();
        return link.contains(document.elementFromPoint(left + width / 2, top + height / 2));
    }"""
    assert link.evaluate("link => link.matches(':focus-visible')")
    assert link.evaluate(covers)


def test_rows_are_seen_where_letters_are_four_times_as_large(visit: Visit) -> None:
    page = visit(size=ENLARGED).go("/parameters", "Parameters")
    table = page.get_by_label("Parameters", exact=True)
    table.locator("tbody tr").nth(9).wait_for()
    frame = table.bounding_box()
    assert frame is not None
    assert ENLARGED[1] / 2 < frame["height"] < ENLARGED[1] - HEADER_PX


def test_what_has_the_focus_is_seen_in_the_dark_where_the_brand_is_black(newcomer: Visit) -> None:
    visitor = newcomer()
    page = visitor.page

    def branded(route: Route) -> None:
        answer, black = route.fetch(), {"name": "Black", "colour": "#000000", "logo": False, "pay_in": []}
        body, count = re.subn('(name="brand" content=")[^"]*', rf"\g<1>{escape(json.dumps(black))}", answer.text())
        assert count == 1
        route.fulfill(response=answer, body=body)

    page.route(re.compile("/payments$"), branded)
    for path, focused, drawn, line in (
        ("/payments", "header input", "header input", "borderTopColor"),
        ("/payments", "[role=tab][aria-selected=false]", "[role=tab][aria-selected=false]", "outlineColor"),
        ("/payments", "header input", "[role=tab][aria-selected=true]", "borderBottomColor"),
        ("/agents", "input[role=switch]", "input[role=switch] + *", "outlineColor"),
        ("/", "main input[type=radio]", "main input[type=radio] + *", "outlineColor"),
    ):
        visitor.go(path)
        colour(page, "dark")
        page.keyboard.press("Tab")
        page.locator(focused).first.focus()
        shown = page.locator(drawn).first.evaluate("(each, line) => getComputedStyle(each)[line]", line)
        page_itself = page.locator("body").evaluate("each => getComputedStyle(each).backgroundColor")
        assert contrast(shown, page_itself) >= SEEN, (path, drawn, shown)


def test_a_list_that_a_key_opens_is_at_its_present_choice_and_says_so(visit: Visit) -> None:
    """A list whose options come into the page as it opens says neither, and Enter would send the form around it."""
    page = visit().go("/payments?kind=adjustment", "Payments")
    kind = page.get_by_role("main").get_by_role("combobox", name="Kind")
    chosen = """each => [each.ariaExpanded, ...["aria-controls", "aria-activedescendant"]
        .map(name => document.getElementById(each.getAttribute(name))?.innerText)]"""
    kind.press("ArrowDown")
    expanded, options, active = kind.evaluate(chosen)
    assert (expanded, options.split("\n")[0], active) == ("true", "payment", "adjustment")
    kind.press("ArrowDown")
    expanded, _options, following = kind.evaluate(chosen)
    assert (expanded, following) == ("true", options.split("\n")[options.split("\n").index("adjustment") + 1])
    kind.press("Enter")
    expect(kind).to_have_value(following)


def test_a_person_chooses_the_zone_of_times(visit: Visit, record: dict[str, str]) -> None:
    page = visit().go("/cdrs?since=2026-01-01T00:00:00.000Z", "Call search")
    choose_zone(page, "Kiritimati")
    expect(page.get_by_role("button", name=re.compile("^p"))).to_be_focused()
    ahead = datetime.fromisoformat(record["started_at"]).astimezone(ZoneInfo("Pacific/Kiritimati"))
    first_call = page.get_by_label("Call search", exact=True).locator("tbody tr").last
    time = first_call.locator("time").first
    expect(time).to_have_text(re.compile(f"{ahead:%H:%M:%S}$"))
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-01-01T14:00")
    page.reload()
    expect(time).to_have_text(re.compile(f"{ahead:%H:%M:%S}$"))
    expect(time).to_have_attribute("title", re.compile(" UTC$"))


def test_a_search_holds_the_whole_hour_that_the_clocks_repeat_and_shows_the_moment_behind_one_left_out(
    visit: Visit,
) -> None:
    page = visit().go("/", "Overview")
    page.evaluate("localStorage.setItem('vosd.zone', 'Europe/Berlin')")

    def named(url: str) -> set[str]:
        return set(unquote(url.partition("?")[2]).split("&"))

    page.goto(page.url + "cdrs?since=2026-10-24T00:00:00.000Z")
    since, until = page.get_by_label("From", exact=True), page.get_by_label("To", exact=True)
    for field in (since, until):
        field.fill("2026-10-25T02:00")
    expect(since).to_have_accessible_description("UTC+02:00")
    expect(until).to_have_accessible_description("UTC+01:00")
    until.press("Enter")
    page.wait_for_url(lambda url: {"since=2026-10-25T00:00:00.000Z", "until=2026-10-25T01:00:00.000Z"} <= named(url))
    until.fill("2026-10-25T03:00")
    expect(until).to_have_accessible_description("")
    for _ in range(2):  # the second time the address stays
        since.fill("2026-03-29T02:30")
        since.press("Enter")
        page.wait_for_url(lambda url: "since=2026-03-29T01:00:00.000Z" in named(url))
        expect(since).to_have_value("2026-03-29T03:00")
    page.goto(page.url.partition("/cdrs")[0] + "/lists/ledger")
    until = page.get_by_label("Until", exact=True)
    until.fill("2026-10-25T02:00")
    until.press("Enter")
    page.wait_for_url(lambda url: named(url) == {"until=2026-10-25T01:00:00.000Z"})
    expect(until).to_have_accessible_description("UTC+01:00")


def test_the_search_leads_to_what_was_named(boss: Visitor) -> None:
    page = boss.go("/", "Overview")
    for sought, found in (
        ("carrier-b", "/gateways/carrier-b"),
        ("acme-pbx", "/gateways/acme-pbx"),
        (str(VENDORS["carrier-c"].host), "/gateways/carrier-c"),
        ("12025550100", "/cdrs?caller=12025550100"),
    ):
        page.locator("h1").focus()
        page.keyboard.press("/")
        page.keyboard.type(sought)
        page.keyboard.press("Enter")
        expect(page).to_have_url(boss.base + found)


def test_a_page_that_comes_late_does_not_interrupt_what_is_typed_into_the_search(newcomer: Visit) -> None:
    page, held = newcomer().go("/", "Overview"), list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/assets/rates-*", hold)
    with page.expect_request("**/assets/rates-*"):
        page.get_by_role("link", name="Rates", exact=True).click()
    page.keyboard.press("/")
    page.keyboard.type("carrier")
    for each in held:
        each.continue_()
    page.get_by_role("heading", level=1, name="Rates").wait_for()
    page.keyboard.type("-b")
    expect(page.get_by_role("banner").get_by_role("textbox")).to_have_value("carrier-b")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="carrier-b")).to_be_focused()


def test_the_search_finds_phones_that_are_not_registered_numbers_of_customers_and_blocked_sources(
    site: Watched, boss: Visitor
) -> None:
    numbers = "442079460000-442079460099"
    assert site.api.ask("PUT", f"/dids/{numbers}", {"keys": {"account": "acme", "phones": ["7001"]}}).status == 200
    blocked = {"source": "192.0.2.66", "cause": "flood", "remaining_s": 60, "until": "2099-01-01T00:00:00Z"}
    boss.page.route(
        re.compile(r"/api/v1/sources\?"),
        lambda route: route.fulfill(
            json=made_page(route.request, [] if "username=" in route.request.url else [blocked])
        ),
    )
    try:
        for sought, found in (
            ("7001", "/objects/phones/7001"),
            ("+44 20 7946 0042", f"/objects/dids/{numbers}"),
            ("192.0.2.66:5060", "/lists/sources?source=192.0.2.66"),
        ):
            boss.page.goto(f"{boss.base}/found?q={quote(sought)}")
            expect(boss.page).to_have_url(boss.base + found)
            boss.page.get_by_role("heading", level=1).wait_for()
    finally:
        boss.page.unroute_all()


def test_a_search_that_is_made_again_finds_what_has_come_since(site: Watched, boss: Visitor) -> None:
    page = boss.go("/", "Overview")
    for number, leaves in (("7402", False), ("7403", True)):
        search = page.get_by_role("search").get_by_role("textbox")
        search.fill(number)
        search.press("Enter")
        page.get_by_text("Nothing has this number").wait_for()
        phone = {"keys": {"account": "acme", "password": "a-long-secret-1"}}
        assert site.api.ask("PUT", f"/phones/{number}", phone).status in {200, 201}
        if leaves:
            page.get_by_role("link", name="Health", exact=True).click()
            page.get_by_role("heading", level=1, name="Health").wait_for()
        search.fill(number)
        search.press("Enter")
        page.get_by_role("heading", level=1, name=number).wait_for()
        expect(page).to_have_url(f"{boss.base}/objects/phones/{number}")
    for number, heading in (("74041", "74041"), ("74042", "Search: 7404")):  # the only one, then one of two
        assert site.api.ask("PUT", f"/phones/{number}", phone).status in {200, 201}
        search.fill("7404")
        search.press("Enter")
        page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()


def test_a_search_for_another_text_reads_no_list_of_the_text_before_again(boss: Visitor) -> None:
    page = boss.go("/found?q=no-such-thing")
    page.get_by_text("Nothing has this number").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    search = page.get_by_role("search").get_by_role("textbox")
    search.fill("carrier")
    search.press("Enter")
    page.get_by_role("heading", level=1, name="Search: carrier").wait_for()
    page.get_by_label("Gateways", exact=True).locator("tbody tr").nth(1).wait_for()
    assert len([each for each in asked if "carrier" in each]) >= 7
    assert [each for each in asked if "no-such-thing" in each] == []


def test_a_return_to_the_window_of_a_search_reads_no_lists_again(newcomer: Visit) -> None:
    visitor = newcomer()
    page = visitor.page
    page.clock.install()
    visitor.go("/found?q=carrier", "Search: carrier")
    page.get_by_label("Gateways", exact=True).locator("tbody tr").nth(1).wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.clock.fast_forward(10_000)
    page.evaluate("dispatchEvent(new Event('visibilitychange'))")
    assert page.evaluate("fetch('/api/v1/session').then(answer => answer.ok)")
    assert asked.pop() == "/api/v1/session"
    assert {"/api/v1/balances", "/api/v1/gateways/quality"} & {*asked} == set()


def test_the_search_lists_what_fits_or_says_that_nothing_does(boss: Visitor) -> None:
    asked: list[dict[str, str]] = []
    boss.page.on("request", lambda request: asked.append(dict(parse_qsl(urlsplit(request.url).query))))
    page = boss.go("/found?q=carrier", "Search: carrier")
    page.get_by_label("Gateways", exact=True).locator("tbody tr").nth(1).wait_for()
    expect(page.get_by_role("link", name="Routing gateways", exact=True)).to_have_count(2)
    searching = [each for each in asked if each.get("containing") == "carrier"]
    assert len(searching) >= 7
    assert max(int(each["limit"]) for each in searching) == 50  # of lists of any length
    page = boss.go("/found?q=no-such-thing")
    expect(page.get_by_role("status")).to_have_text(
        "Nothing has this number, name or address. Looked for in: Accounts, Invoices, Gateways, Phones, Registrations, "
        "Mapping gateways, Routing gateways, Rate groups, Blocked sources"
    )
    page = boss.go("/found?q=")
    expect(page.get_by_role("status")).to_have_text("Enter a number, a name or an address in the search above.")
    page = boss.go("/gateways/no-such-thing", "no-such-thing")
    page.get_by_role("alert").filter(has_text="gateway or phone").wait_for()
    expect(page.get_by_role("button", name="Set", exact=True)).to_have_count(0)
    boss.go(f"/found?q={'a' * 250}")
    fits_a_telephone(page)
    assert violations(page) == []


@pytest.mark.parametrize("is_among", [True, False])
def test_the_search_shows_once_and_first_what_is_called_so(boss: Visitor, *, is_among: bool) -> None:
    """It is among the first 50 of a list, or asked for by its name."""
    others = [{"id": f"qq-{number:02}"} for number in range(50)]
    one = {"id": "qq"}

    def answer(route: Route) -> None:
        is_named = "accounts=" in route.request.url
        rows = [one] if is_named else [*others[:2], one, *others[2:]] if is_among else others
        route.fulfill(json=made_page(route.request, rows, None if is_named else "more"))

    boss.page.route(re.compile(r"/api/v1/balances\?"), answer)
    boss.page.route(
        re.compile(r"/api/v1/gateways/quality\?"),
        lambda route: route.fulfill(json=made_page(route.request, [{"gateway": "qq"}])),
    )
    try:
        boss.page.goto(f"{boss.base}/found?q=qq")
        rows = boss.page.get_by_label("Accounts", exact=True).locator("tbody tr")
        expect(rows).to_have_count(5)
        assert rows.locator("td:first-child").all_inner_texts() == ["qq", *(each["id"] for each in others[:4])]
    finally:
        boss.page.unroute_all()


def test_keys_of_one_letter_are_listed_and_can_be_switched_off(boss: Visitor) -> None:
    page = boss.go("/alarms", "Alarms")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    keys.get_by_label("These keys work").press("Space")
    page.keyboard.press("Escape")
    expect(keys).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("?")
    page.get_by_role("heading", level=1, name="Alarms").wait_for()
    expect(keys).to_have_count(0)


def test_keys_do_nothing_while_a_question_is_open_or_its_order_at_work(newcomer: Visit) -> None:
    page = newcomer().go("/accounts/acme", "acme")
    asked = page.get_by_role("dialog")

    def press_keys() -> None:
        for key in ("/", "?", "c"):
            page.keyboard.press(key)
        expect(asked).to_have_count(1)
        assert page.url.endswith("/accounts/acme")
        assert asked.evaluate("each => each.contains(document.activeElement)")

    held: list[Route] = []
    route_once(page, "**/api/v1/accounts/acme/block", held.append)
    page.get_by_role("button", name="Block", exact=True).click()
    expect(asked.get_by_role("button", name="Cancel")).to_be_focused()
    press_keys()
    with page.expect_request("**/api/v1/accounts/acme/block"):
        asked.get_by_role("button", name="Block").press("Enter")
    press_keys()
    held[0].abort()
    asked.get_by_role("alert").wait_for()
    page.keyboard.press("Escape")
    expect(asked).to_have_count(0)
    page.keyboard.press("c")
    page.get_by_role("heading", level=1, name="Calls now").wait_for()


def test_a_switch_that_does_not_answer_is_said_and_asked_again(boss: Visitor) -> None:
    page = boss.go("/", "Overview")
    page.route("**/api/v1/gateways/quality*", lambda route: route.abort())
    page.get_by_role("link", name="Gateways", exact=True).click()
    said = page.get_by_role("alert").filter(has_text="The switch does not answer")
    said.wait_for()
    page.unroute("**/api/v1/gateways/quality*")
    page.route("**/api/v1/gateways/quality*", lambda route: route.fulfill(content_type="text/html", body="<p>Log in"))
    with page.expect_response("**/api/v1/gateways/quality*"):
        said.get_by_role("button", name="Try again").click()
    expect(said).to_contain_text("The network or the switch may be away.")
    page.unroute("**/api/v1/gateways/quality*")
    said.get_by_role("button", name="Try again").press("Enter")
    expect(page.get_by_label("Gateways", exact=True)).to_contain_text("carrier-b")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


@pytest.mark.parametrize(
    ("status", "title", "remedy"),
    [
        (403, "A proxy in front of the switch answered in its place: 403 Forbidden", "The log of the proxy says why."),
        (
            413,
            "A proxy in front of the switch answered in its place: 413",
            "This is larger than the proxy lets through",
        ),
        (502, "The switch does not answer", "The network or the switch may be away."),
    ],
)
def test_the_refusal_of_a_proxy_is_not_taken_for_a_switch_that_is_away(
    boss: Visitor, status: int, title: str, remedy: str
) -> None:
    page = boss.go("/", "Overview")
    page.route(
        "**/api/v1/gateways/quality*",
        lambda route: route.fulfill(status=status, content_type="text/html", body="<h1>nginx</h1>"),
    )
    try:
        page.get_by_role("link", name="Gateways", exact=True).click()
        said = page.get_by_role("alert").filter(has_text=title)
        expect(said).to_contain_text(remedy)
    finally:
        page.unroute_all()


def test_a_page_that_cannot_be_loaded_says_so_where_it_is_opened_and_takes_nothing_away_before(newcomer: Visit) -> None:
    page, loads = newcomer().go("/", "Overview"), list[str]()
    page.on("load", lambda _: loads.append(page.url))
    page.context.set_offline(True)
    link = page.get_by_role("link", name="Rates", exact=True)
    with page.expect_event("requestfailed", lambda request: "/assets/rates-" in request.url):
        link.hover()
    link.click()
    page.get_by_role("heading", level=1, name="This page could not be loaded").wait_for()
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_enabled()
    assert loads == []
    page.context.set_offline(False)
    again.click()
    page.get_by_role("heading", level=1, name="Rates").wait_for()


def test_a_language_whose_texts_are_those_of_another_console_comes_with_the_page(newcomer: Visit) -> None:
    page = newcomer().go("/accounts", "Accounts")
    route_once(page, "**/assets/zh-*.js", lambda route: route.fulfill(status=404))
    page.get_by_role("button", name=re.compile("^p")).click()
    page.get_by_role("menuitem", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    page.get_by_role("heading", level=1, name="账户").wait_for()


def test_a_page_whose_script_is_broken_is_loaded_anew_once(newcomer: Visit) -> None:
    page, loads = newcomer().go("/", "Overview"), list[str]()
    page.on("load", lambda _: loads.append(page.url))
    page.route("**/assets/rates-*", lambda route: route.fulfill(status=404))
    with page.expect_event("load"):
        page.get_by_role("link", name="Rates", exact=True).click()
    page.get_by_role("heading", level=1, name="This page could not be loaded").wait_for()
    page.wait_for_load_state("networkidle")
    assert len(loads) == 1
    page.unroute("**/assets/rates-*")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", level=1, name="Rates").wait_for()


def other_console(route: Route) -> None:
    """Answer with the page of another version: its first script has another name."""
    page = route.fetch()
    route.fulfill(response=page, body=page.text().replace("/assets/index-", "/assets/other-"))


def test_a_page_that_fails_in_two_versions_which_come_in_turn_is_loaded_anew_once_in_each(newcomer: Visit) -> None:
    """Behind a proxy of two switches each version took itself for one that was not loaded anew yet, for ever."""
    visitor = newcomer()
    page, loads = visitor.go("/", "Overview"), list[str]()
    page.on("load", lambda _: loads.append(page.url))

    def file_of_other(route: Route) -> None:
        url = route.request.url.replace("/other-", "/index-")
        if url.endswith(".js"):
            route.fulfill(content_type="text/javascript", body=f'import "{url}"')
        else:
            route.fulfill(response=route.fetch(url=url))

    def in_turn(route: Route) -> None:
        if len(loads) % 2:
            route.fallback()
        else:
            other_console(route)

    page.route("**/assets/rates-*", lambda route: route.fulfill(status=404))
    page.route("**/assets/other-*", file_of_other)
    page.route(f"{visitor.base}/rates", in_turn)
    with page.expect_event("load", lambda _: len(loads) == 2):
        page.get_by_role("link", name="Rates", exact=True).click()
    page.get_by_role("heading", level=1, name="This page could not be loaded").wait_for()
    page.wait_for_load_state("networkidle")
    assert len(loads) == 2


def test_a_page_of_before_says_that_the_switch_has_another_one(newcomer: Visit) -> None:
    visitor = newcomer()
    page = visitor.go("/accounts", "Accounts")
    said = page.get_by_role("status").filter(has_text="another version of this page")
    later = "() => { const now = Date.now; Date.now = () => now() + 660_000; window.dispatchEvent(new Event('focus')) }"
    with page.expect_response(lambda answer: answer.url.endswith("/") and answer.request.resource_type == "fetch"):
        page.evaluate(later)
    page.route(f"{visitor.base}/", other_console)
    page.evaluate(later)
    said.wait_for()
    assert violations(page) == []
    page.unroute_all()
    with page.expect_event("load"):
        said.get_by_role("button", name="Load the page anew").click()
    page.get_by_role("heading", level=1, name="Accounts").wait_for()
    expect(said).to_have_count(0)


def test_the_page_is_looked_for_every_ten_minutes_also_where_a_tick_seems_early(newcomer: Visit) -> None:
    visitor = newcomer()
    visitor.page.clock.install()
    page = visitor.go("/accounts", "Accounts")
    for _ in range(2):
        with page.expect_request(lambda sent: sent.url == f"{visitor.base}/" and sent.resource_type == "fetch"):
            page.clock.fast_forward(605_000)
        page.evaluate("() => { const now = Date.now; Date.now = () => now() - 30_000 }")  # the tick before was late


def test_a_page_of_before_that_fails_at_an_answer_of_now_is_loaded_anew(newcomer: Visit) -> None:
    visitor = newcomer()
    page = visitor.go("/accounts", "Accounts")

    def without_movements(route: Route) -> None:
        found = route.fetch()
        items = [{name: each[name] for name in each if name != "movements"} for each in found.json()["items"]]
        route.fulfill(response=found, body=json.dumps({**found.json(), "items": items}))

    route_once(page, "**/api/v1/statements/*", without_movements)
    route_once(page, f"{visitor.base}/", other_console)
    with page.expect_event("load"):
        page.get_by_role("link", name="Months", exact=True).click()
    page.get_by_role("heading", name="Statements").wait_for()
    expect(page.get_by_role("region", name="Statements").locator("tbody tr").first).to_contain_text("USD")


STORAGE_OFF: Final = """for (const area of ["localStorage", "sessionStorage"])
    Object.defineProperty(window, area, {get() { throw new DOMException("Access is denied.", "SecurityError"); }});"""
STORAGE_FULL: Final = """Storage.prototype.setItem = () => {
    throw new DOMException("The quota has been exceeded.", "QuotaExceededError");
};"""


@pytest.mark.parametrize("storage", [STORAGE_OFF, STORAGE_FULL], ids=["off", "full"])
def test_a_browser_whose_storage_is_off_or_full_shows_the_console_in_the_chosen_language(
    newcomer: Visit, storage: str
) -> None:
    visitor = newcomer()
    visitor.page.add_init_script(storage)
    page, loads = visitor.go("/", "Overview"), list[str]()
    page.on("load", lambda _: loads.append(page.url))
    page.get_by_role("button", name=re.compile("^p[0-9]+$")).click()
    page.get_by_role("menuitem", name="中文").click()
    page.get_by_role("heading", level=1, name="总览").wait_for()
    page.route("**/assets/rates-*", lambda route: route.fulfill(status=404))
    page.get_by_role("link", name="费率", exact=True).click()
    again = page.get_by_role("button", name="重试")
    expect(again).to_be_enabled()
    assert loads == [], "what cannot be noted is not done by itself, or it would be done for ever"
    page.unroute("**/assets/rates-*")
    with page.expect_event("load"):
        again.click()


def test_the_first_page_of_a_customer_whose_script_has_not_come_is_loaded_anew(newcomer: Visit) -> None:
    visitor = newcomer("customer", "acme")
    page = visitor.page
    route_once(page, "**/assets/portal-*", lambda route: route.fulfill(status=404))
    loads: list[str] = []
    page.on("load", lambda _: loads.append(page.url))
    page.goto(f"{visitor.base}/")
    page.get_by_role("heading", level=1, name="acme").wait_for()
    page.wait_for_load_state("load")
    assert len(loads) == 2


def test_a_customer_whose_account_has_ended_is_not_asked_to_pay_in(site: Watched, newcomer: Visit) -> None:
    assert (
        site.api.ask("POST", "/accounts?confirm=true", {"name": "leaving", "keys": {"currency": "USD"}}).status == 201
    )
    visitor = newcomer("customer", "leaving")

    def with_ways_to_pay(route: Route) -> None:
        answer = route.fetch()
        text = answer.text().replace("pay_in&quot;: []", "pay_in&quot;: [&quot;Reference: {account}&quot;]")
        route.fulfill(response=answer, body=text)

    visitor.page.route(f"{visitor.base}/", with_ways_to_pay)
    page = visitor.go("/", "leaving")
    pays_in = page.get_by_role("region", name="How to pay in")
    expect(pays_in).to_contain_text("Reference: leaving")
    assert site.api.ask("DELETE", "/accounts/leaving?confirm=true").status == 200
    page.reload()
    page.get_by_role("alert").filter(has_text="account leaving is not configured").first.wait_for()
    expect(pays_in).to_have_count(0)


def test_the_overview_says_how_all_stands_and_each_figure_leads_to_what_is_behind_it(
    site: Watched, boss: Visitor
) -> None:
    page = boss.go("/", "Overview")
    now = page.get_by_role("region", name="Now")
    gateways = now.get_by_role("link", name=re.compile("^Gateways up"))
    expect(gateways).to_have_text(re.compile(r"^Gateways up5 / 5$"))
    page.get_by_label("Gateways: last five minutes").get_by_role("img").first.wait_for()
    site.daemon.succeed("gateway", "block", "carrier-c")
    blocked = now.get_by_role("link", name="Gateways blocked")
    expect(blocked).to_have_text("Gateways blocked1")
    blocked.click()
    expect(page).to_have_url(boss.base + "/gateways?state=blocked")
    expect(page.get_by_label("Gateways", exact=True).locator("tbody tr")).to_have_count(1)
    site.daemon.succeed("gateway", "unblock", "carrier-c")
    page.get_by_role("button", name="Show all").wait_for()
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_label("Gateways", exact=True).locator("tbody tr")).to_have_count(5)


def test_the_first_page_asks_for_all_that_it_needs_at_once_and_for_the_state_once(newcomer: Visit) -> None:
    page = newcomer().go("/", "Overview")
    asked: list[str] = []
    held: list[Route] = []
    states: list[Route] = []
    is_begun = False

    def hold(route: Route) -> None:
        if is_begun:
            route.continue_()
        else:
            held.append(route)

    for place in ("**/assets/en-*", "**/api/v1/session"):
        page.route(place, hold)
    route_once(page, "**/api/v1/status", states.append)
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    with page.expect_request("**/api/v1/me"):  # neither the texts nor the session are there
        page.reload(wait_until="commit")
    with page.expect_request("**/api/v1/alarms?*"), page.expect_request("**/api/v1/gateways/quality?*"):
        is_begun = True
        for each in held:
            each.continue_()
    assert asked.count("/api/v1/status") == 1
    states[0].continue_()
    page.get_by_role("region", name="Now").wait_for()


def test_calls_of_the_day_are_shown_once_and_money_in_each_currency(newcomer: Visit) -> None:
    usd = {"income": "7.236052", "income_currency": "USD", "cost": "1.10", "vendor_currency": "USD", "calls": 205}
    eur = {"income": "1.272", "income_currency": "USD", "cost": "12345.678901", "vendor_currency": "EUR", "calls": 26}
    customers = [{"customer_account": name, "currency": "USD", "calls": 5} for name in ("acme", "shop")]
    sheets: dict[str, dict[str, object]] = {
        "performance": {"totals": [{"calls": 231, "answered": 190, "asr": "82.25", "acd": "62.5"}]},
        "daily": {"totals": [usd, eur]},
        "top-customers": {
            "columns": [
                {"name": "customer_account", "kind": "text", "meaning": "account"},
                {"name": "calls", "kind": "count", "meaning": "calls"},
            ],
            "rows": customers,
            "totals": [{"currency": "USD", "calls": 231}],
            "calls": [{"currency": None, "vendor_currency": None}] * 2,
        },
    }
    dearest = [{"customer_account": "shop", "currency": "USD", "calls": 9}]
    sheets["top-revenue"] = sheets["top-customers"] | {
        "rows": dearest,
        "calls": [{"currency": None, "vendor_currency": None}],
    }
    visitor = newcomer()

    def answer(route: Route) -> None:
        name = urlsplit(route.request.url).path.rpartition("/")[2]
        empty = {"name": name, "columns": [], "rows": [], "calls": []}
        route.fulfill(json=made_answer(route.request, empty | sheets[name]))

    visitor.page.route("**/api/v1/reports/*?*", answer)
    page = visitor.go("/", "Overview")
    today = page.get_by_role("region", name="Today")
    expect(today.get_by_role("link", name=re.compile("^(Calls|Income|Cost) today"))).to_have_text(
        ["Calls today231", "Income today USD8.508052", "Cost today USD1.10", "Cost today EUR12\u202f345.678901"]
    )
    expect(today).to_have_count(1)
    top = page.get_by_label("Top customers of the day", exact=True)
    expect(top.locator("tbody tr").last).to_contain_text("All customers231")
    assert top.get_by_role("link", name="calls", exact=True).count() == len(customers)
    page.get_by_text("by amount", exact=True).click()
    expect(top.locator("tbody tr").first).to_contain_text("shop9")
    assert page.url.endswith("/?by=amount")
    whole = page.get_by_role("link", name="Top customers of the day")
    expect(whole).to_have_attribute("href", re.compile("name=top-revenue"))
    page.go_back()
    expect(top.locator("tbody tr").first).to_contain_text("acme5")
    page.set_viewport_size({"width": 1_920, "height": 1_080})
    page.get_by_role("button", name="Wall mode").click()
    page.locator(".wall").get_by_text("12\u202f345.678901").wait_for()
    over = "figures => figures.filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText)"
    assert page.locator(".figure b").evaluate_all(over) == []


def test_a_wall_is_large_dark_without_controls_and_follows_by_itself(site: Watched, boss: Visitor) -> None:
    page = boss.go("/", "Overview")
    page.get_by_role("button", name="Wall mode").click()
    calls = page.get_by_role("region", name="Now").get_by_role("link", name=re.compile("^Calls now"))
    expect(calls).to_have_text("Calls now0")
    expect(page.get_by_role("navigation")).to_have_count(0)
    expect(page.get_by_role("search")).to_have_count(0)
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "dark"
    assert violations(page) == []
    with conversing(site.stage, "4410") as (call,):
        call.establish()
        expect(calls).to_have_text("Calls now1")
        call.hang_up()
    expect(calls).to_have_text("Calls now0")
    page.context.set_offline(True)
    page.get_by_role("alert").filter(has_text="The switch does not answer").first.wait_for()
    page.context.set_offline(False)
    expect(page.get_by_role("alert").filter(has_text="The switch does not answer")).to_have_count(0)
    page.emulate_media(color_scheme="light")
    page.keyboard.press("Escape")
    page.get_by_role("navigation").first.wait_for()
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light"


def test_a_person_with_few_rights_begins_where_it_may_go_and_no_key_leads_elsewhere(
    site: Watched, newcomer: Visit
) -> None:
    site.daemon.succeed("user", "role-set", "clerk", "--permission", "rates.see")
    page = newcomer("clerk").go("/", "Rates")
    page.get_by_role("link", name="vosd", exact=True).click()
    page.get_by_role("heading", level=1, name="Rates").wait_for()
    for key in ("g", "l", "o"):
        page.keyboard.press(key)
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    keys.wait_for()
    expect(keys).to_contain_text("go to: o Rates")
    expect(keys).not_to_contain_text("Gateways")
    expect(page.locator("h1")).to_have_text("Rates")


def test_an_address_that_leads_nowhere_asks_for_nothing(site: Watched, boss: Visitor, newcomer: Visit) -> None:
    site.daemon.succeed("user", "role-set", "tariffs", "--permission", "rates.see")
    for visitor, address, title, kind in (
        (boss, "/invoices/nope", "There is no such page", "invoices"),
        (boss, "/bills/nope", "There is no such page", "reconciliations"),
        (boss, "/objects/bogus", "There is no such page", "bogus"),
        (boss, "/objects/bogus/one", "There is no such page", "bogus"),
        (boss, "/new/bogus", "There is no such page", "bogus"),
        (newcomer("tariffs"), "/accounts/acme", "acme", "balance"),
    ):
        asked: list[str] = []
        visitor.page.on("request", lambda request, asked=asked: asked.append(urlsplit(request.url).path))
        visitor.go(address, title).locator(".note").wait_for()
        visitor.page.wait_for_load_state("networkidle")
        assert [path for path in asked if path.startswith("/api/") and kind in path] == []


def test_a_report_that_is_not_known_has_the_name_of_its_address(boss: Visitor) -> None:
    page = boss.go("/reports?name=nope", "Reports")
    page.get_by_role("alert").filter(has_text="nope").wait_for()
    expect(page.get_by_role("combobox", name="Report", exact=True)).to_have_value("nope")


def test_links_of_an_agent_lead_to_what_it_may_see(visit: Visit) -> None:
    visitor = visit("agent", "reseller")
    page = visitor.go("/found?q=acme-pbx", "acme-pbx")
    expect(page).to_have_url(f"{visitor.base}/objects/mapping_gateways/acme-pbx")
    page.get_by_role("heading", level=1, name="acme-pbx", exact=True).wait_for()
    page = visitor.go("/cdrs?since=2026-01-01T00:00:00.000Z", "Call search")
    page.get_by_label("Call search", exact=True).get_by_role("link", name="acme", exact=True).first.wait_for()
    assert page.locator("main a[href^='/gateways/']").count() == 0
    page = visitor.turn("/rates", "Rates")
    page.get_by_label("Rate groups").get_by_text("sell").wait_for()
    assert page.get_by_label("Rate groups").get_by_role("link").count() == 0


def choose_of_person(page: Page, item: str) -> None:
    """Open the menu of the person, and choose an item of it."""
    page.get_by_role("banner").get_by_role("button", name=re.compile("^p")).click()
    page.get_by_role("menuitem", name=item).click()


def test_a_role_that_demands_a_second_factor_has_it_set_up_before_anything_else(site: Watched, newcomer: Visit) -> None:
    site.daemon.succeed("user", "role-set", "night", "--totp")
    assert english_in(newcomer("night", language="zh").go("/calls", "第二因素")) == []
    page = newcomer("night").go("/calls", "Second factor")
    expect(page.get_by_role("main")).to_contain_text("your role (Night shift) demands a second factor")
    assert violations(page) == []
    page.get_by_role("button", name="Begin").click()
    secret = page.locator("pre").inner_text()
    assert re.fullmatch("([A-Z2-7]{4} ){7}[A-Z2-7]{4}", secret)
    plain = secret.replace(" ", "")
    expect(page.get_by_role("link", name="Open it in an app")).to_have_attribute("href", re.compile(f"secret={plain}&"))
    fits_a_telephone(page)
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    page.wait_for_function("(pre => pre.scrollWidth <= pre.clientWidth)(document.querySelector('pre'))")
    assert violations(page) == []
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    page.get_by_label("Code that the app shows").fill("no code")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="the code is wrong").wait_for()
    page.get_by_role("button", name="Begin again").click()
    page.get_by_role("button", name="Begin").click()
    expect(page.locator("pre")).not_to_have_text(secret)
    expect(page.get_by_role("alert")).to_have_count(0)
    plain = page.locator("pre").inner_text().replace(" ", "")
    now = code_at(base64.b32decode(plain), time_ns() // 1_000_000 // STEP_MS)
    page.get_by_label("Code that the app shows").fill(f"{now[:3]} {now[3:]}")
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="Keep these 10 recovery codes").wait_for()
    codes = page.locator("pre").inner_text().split()
    assert len(codes) == 10
    assert violations(page) == []
    expect(page.get_by_role("button", name="Log out")).to_have_count(0)  # the codes are shown this once
    page.get_by_role("button", name="I have kept them").click()
    page.get_by_role("heading", level=1, name="Calls now").wait_for()
    assert not is_in_memory(page, plain, codes[0])

    choose_of_person(page, "Password")
    asked = page.get_by_role("dialog", name="Password")
    asked.get_by_label("Present password").fill("not this one, but long")
    asked.get_by_label("Code of the present").fill(codes[0])
    asked.get_by_label("New password").fill("another horse battery")
    page.keyboard.press("Enter")
    asked.get_by_role("alert").filter(has_text="the name, the password or the code is wrong").wait_for()
    assert violations(page) == []
    asked.get_by_label("Present password").fill(PASSWORD)
    page.keyboard.press("Enter")
    asked.get_by_role("status").filter(has_text="Your password is changed").wait_for()
    page.keyboard.press("Enter")
    expect(page.get_by_role("banner").get_by_role("button", name=re.compile("^p"))).to_be_focused()
    expect(asked).to_have_count(0)

    choose_of_person(page, "Second factor")
    asked = page.get_by_role("dialog", name="Second factor")
    asked.wait_for()
    assert not is_in_memory(page, "another horse battery")  # another dialog is drawn in place of the one that had it
    asked.get_by_label("Present password").fill("another horse battery")
    asked.get_by_label("Code of the present").fill(codes[1])
    page.keyboard.press("Enter")
    expect(asked.locator("pre")).not_to_have_text(secret)
    plain = asked.locator("pre").inner_text().replace(" ", "")
    asked.get_by_label("Code that the app shows").fill(
        code_at(base64.b32decode(plain), time_ns() // 1_000_000 // STEP_MS)
    )
    page.keyboard.press("Enter")
    asked.get_by_role("status").filter(has_text="Keep these 10 recovery codes").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Leave without saving?").get_by_role("button", name="Stay here").click()
    asked.get_by_role("button", name="I have kept them").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    site.daemon.succeed("user", "role-set", "night", "--no-totp")


def test_a_log_in_that_is_lost_behind_the_password_says_so(site: Watched, newcomer: Visit) -> None:
    page = newcomer("viewer").go("/", "Overview")
    person = page.get_by_role("banner").get_by_role("button", name=re.compile("^p")).inner_text()
    choose_of_person(page, "Log out")
    route_once(page, "**/api/v1/me", lambda route: route.abort())
    page.get_by_label("Name").fill(person)
    page.locator("input[autocomplete=current-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="The switch does not answer").wait_for()
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Overview").wait_for()
    assert not is_in_memory(page, PASSWORD)


def test_a_browser_that_keeps_no_session_of_a_page_without_tls_is_told_so(site: Watched, newcomer: Visit) -> None:
    page = newcomer("viewer").go("/", "Overview")
    person = page.get_by_role("banner").get_by_role("button", name=re.compile("^p")).inner_text()
    choose_of_person(page, "Log out")

    def keep_nothing(route: Route) -> None:
        answer = route.fetch()
        page.context.clear_cookies()
        headers = {name: value for name, value in answer.headers.items() if name != "set-cookie"}
        route.fulfill(status=answer.status, headers=headers, body=answer.body())

    route_once(page, "**/api/v1/session", keep_nothing)
    page.get_by_label("Name").fill(person)
    page.locator("input[autocomplete=current-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    told = page.get_by_role("alert").filter(has_text="This browser has not kept the session")
    expect(told).to_contain_text("Over plain HTTP some browsers, such as Safari, keep none")
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Overview").wait_for()


def test_a_first_password_without_an_answer_may_be_set_and_leads_to_the_log_in(site: Watched, newcomer: Visit) -> None:
    link = site.daemon.ask("user", "add", "linked", "--role", "viewer")["link"].rpartition("/")[2]
    visitor = newcomer("viewer")
    page = visitor.page
    page.context.clear_cookies()
    page.goto(f"{visitor.base}/#/first-login/{link}")
    route_once(page, "**/api/v1/session/link", lose_the_answer)
    page.get_by_label("New password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="The switch does not answer").wait_for()
    expect(page.get_by_text("The new password may be set already")).to_have_count(0)
    page.get_by_role("button", name="Set the password").click()
    page.get_by_role("status").filter(has_text="The new password may be set already").wait_for()
    assert violations(page) == []
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").filter(has_text="The new password may be set already").wait_for()
    assert not is_in_memory(page, PASSWORD)
    page.get_by_label("Name").fill("linked")
    page.locator("input[autocomplete=current-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Overview").wait_for()


def test_a_password_that_was_changed_without_an_answer_may_hold_and_leads_to_the_log_in(newcomer: Visit) -> None:
    second, third = "another horse battery", "a third horse battery"
    page = newcomer("viewer").go("/", "Overview")
    person = page.get_by_role("banner").get_by_role("button", name=re.compile("^p")).inner_text()
    asked = page.get_by_role("dialog", name="Password")

    def change(old: str, new: str) -> None:
        choose_of_person(page, "Password")
        asked.get_by_label("Present password").fill(old)
        asked.get_by_label("New password").fill(new)
        route_once(page, "**/api/v1/session/password", lose_the_answer)
        asked.get_by_role("button", name="Set the password").click()
        asked.get_by_role("alert").filter(has_text="The switch does not answer").wait_for()

    change(PASSWORD, second)
    asked.get_by_role("button", name="Set the password").click()
    asked.get_by_role("status").filter(has_text="The new password may be set already").wait_for()
    assert violations(page) == []
    asked.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").filter(has_text="The new password may be set already").wait_for()
    page.get_by_label("Name").fill(person)
    page.locator("input[autocomplete=current-password]").fill(second)
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1, name="Overview").wait_for()

    def lose_the_session(route: Route) -> None:
        page.context.clear_cookies()  # that of the new session was lost with the answer
        route.fulfill(response=route.fetch())

    change(second, third)
    # not before the click: what the page reads by itself may find that the session is over, and the dialog is hidden
    route_once(page, "**/api/v1/session/password", lose_the_session)
    asked.get_by_role("button", name="Set the password").click()
    again = page.get_by_role("dialog", name="Log in")
    again.get_by_role("alert").filter(has_text="The new password may be set already").wait_for()
    again.locator("input[autocomplete=current-password]").fill(third)
    again.get_by_role("button", name="Log in").click()
    expect(again).to_have_count(0)
    expect(asked.get_by_label("New password")).to_have_value(third)


def test_a_visitor_says_which_page_has_not_come(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("http://switch/*", lambda route: route.fulfill(content_type="text/html", body="<main></main>"))
    page.goto("http://switch/slow")
    context.set_default_timeout(100)
    visitor = Visitor(page, "http://switch", [])
    with pytest.raises(pytest.fail.Exception, match="no page has come at http://switch/slow, from which /calls is"):
        visitor.turn("/calls")
    page.evaluate("document.querySelector('main').innerHTML = '<h1>Old</h1>'")
    with pytest.raises(pytest.fail.Exception, match=r"/calls shows \[\] as its title in time, not Calls now"):
        visitor.turn("/calls", "Calls now")
    context.close()
