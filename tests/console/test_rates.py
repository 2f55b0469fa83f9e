"""Rates: a number in every group; a sheet that is mapped, compared, put in force and taken back."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from api.watched import Watched
from doubles.workbook import xlsx
from playwright.sync_api import Page, Request, Route, expect

from console.conftest import NARROW, Visit, Visitor, choose_zone, violations
from console.test_screens import logged_in_again, rows

FIRST = "Carrier A;;;\nDial code;Destination;Rate;Increments\n44;United Kingdom;0,30;30/6\n49;Germany;0,05;1/1\n"
SECOND = FIRST.replace("0,30", "0,35").replace("49;Germany;0,05", "33;France;0,02")

BY_SERVER = "Read the columns as last time with this header"
NONE = "\u2013"
"""The text of a cell without a value."""


@pytest.fixture(scope="module", autouse=True)
def deck(site: Watched) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "wholesale", "keys": {"deck": True}}).status == 201


def chosen(page: Page, text: str, name: str = "carrier-a.csv", encoding: str = "utf-8") -> None:
    buffer = text.encode(encoding)
    page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": buffer})


def choose_column(page: Page, ours: str, theirs: str) -> None:
    page.get_by_role("combobox", name=ours, exact=True).click()
    page.get_by_role("option", name=theirs, exact=True).click()


def versions(site: Watched) -> list[dict[str, Any]]:
    return site.items("/decks/wholesale/versions?sort=version")


def imported(site: Watched, group: str, sheet: str, query: str = "") -> None:
    """Import a sheet without the console."""
    place, headers = f"/decks/{group}/imports{query}", {"Content-Type": "text/csv"}
    assert site.api.wait_for(site.api.ask("POST", place, sheet.encode(), headers=headers))["committed"]


def compared(page: Page) -> None:
    page.get_by_role("button", name="Compare with the present rates").click()
    page.get_by_role("radiogroup", name="Difference").wait_for()


def put_in_force(page: Page) -> None:
    """Put a sheet in force, after it is compared."""
    compared(page)
    page.get_by_role("button", name="Put in force").click()
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()


def test_a_sheet_is_mapped_compared_put_in_force_and_taken_back(site: Watched, boss: Visitor) -> None:
    page = boss.go("/rates/wholesale?tab=import", "wholesale")
    chosen(page, FIRST)
    expect(page.get_by_label("Line of the header")).to_have_value("2")
    for ours, theirs in (("Prefix", "Dial code"), ("Price", "Rate"), ("Interval", "Increments")):
        expect(page.get_by_role("combobox", name=ours, exact=True)).to_have_value(theirs)
    expect(page.get_by_role("combobox", name="Decimal sign")).to_have_value(",")
    for _ in range(2):  # one that is chosen already stays
        page.get_by_role("combobox", name="Decimal sign").click()
        page.get_by_role("option", name=",").click()
    expect(page.get_by_role("combobox", name="Decimal sign")).to_have_value(",")
    assert violations(page) == []
    page.get_by_role("button", name="Compare with the present rates").click()
    expect(page.get_by_label("Difference").locator("tbody tr")).to_have_count(2)
    assert versions(site) == []
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition("/api/v1")[2]))
    page.get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("dialog")).to_contain_text("Put 2 changes of wholesale in force?")
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()
    page.get_by_text("Version 1 is in force").wait_for()
    assert [each["rates"] for each in versions(site)] == [2]

    chosen(page, SECOND, "next.csv")
    expect(page.get_by_label(BY_SERVER)).to_be_checked()
    expect(page.get_by_label("Line of the header")).to_have_count(0)
    page.get_by_role("button", name="Compare with the present rates").click()
    page.get_by_text("0 calls of 7 days").wait_for()
    expect(page.get_by_text(re.compile(r"^0\S* → 0\S* USD$"))).to_have_count(2)  # fee and cost
    page.get_by_text("Read as last time with this header").wait_for()
    read_behind = [each for each in asked if each.startswith("/decks/wholesale/versions")]
    assert read_behind == ["/decks/wholesale/versions?limit=1"], "what is shown is read once behind a change"
    page.get_by_text("dearer 1", exact=True).click()
    assert rows(page, "Difference")[0].startswith("dearer 44 United Kingdom 0.30 USD 0.35 USD 30/6 30/6")
    page.get_by_text("gone 1", exact=True).click()
    assert rows(page, "Difference")[0].startswith("gone 49 Germany 0.05")
    assert violations(page) == []
    page.get_by_label("Also if more than a fifth").check()
    other = "prefix,area,billing_rate,interval\n44,United Kingdom,0.30,30/6\n49,Germany,0.99,1/1\n"
    imported(site, "wholesale", other)
    page.get_by_role("button", name="Put in force").click()
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("alert")).to_contain_text("deck wholesale has version 2 by now")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_text("gone 1", exact=True).click()
    assert rows(page, "Difference")[0].startswith("gone 49 Germany 0.99"), "it is compared anew"
    expect(page.get_by_label("Also if more than a fifth")).not_to_be_checked()
    page.get_by_label("Also if more than a fifth").check()
    page.get_by_role("button", name="Put in force").click()
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()
    page.get_by_text("Version 3 is in force").wait_for()
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Version 4 is in force").wait_for()
    assert [each["content"] for each in versions(site)] == [1, 2, 3, 2]


def test_a_sheet_holds_from_the_moment_that_was_asked_about_whatever_zone_is_chosen_meanwhile(
    site: Watched, newcomer: Visit
) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "zoned", "keys": {"deck": True}}).status == 201
    page = newcomer(zone="Europe/Berlin").go("/rates/zoned?tab=import", "zoned")
    chosen(page, "prefix,area,billing_rate,interval\n44,United Kingdom,0.30,30/6\n")
    page.get_by_label("In force from (empty").fill("2099-01-01T00:00")
    compared(page)
    choose_zone(page, "Tokyo")
    page.get_by_role("button", name="Put in force").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("hold from 2099-01-01 08:00:00 Asia/Tokyo")
    asked.get_by_role("button", name="Put in force").click()
    page.get_by_text("Version 1 is stored: its rates hold from 2099-01-01 08:00:00 Asia/Tokyo").wait_for()
    (version,) = site.items("/decks/zoned/versions")
    assert version["effective"] == "2098-12-31T23:00:00.000Z"


def test_the_first_sheet_of_a_group_is_taken_back_and_leaves_no_rate(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "begun", "keys": {"deck": True}}).status == 201
    page = boss.go("/rates/begun?tab=import", "begun")
    chosen(page, "prefix,area,billing_rate,interval\n44,United Kingdom,0.30,30/6\n49,Germany,0.05,1/1\n")
    put_in_force(page)
    page.get_by_text("Version 1 is in force").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Version 2 is in force").wait_for()
    found = site.items("/decks/begun/versions?sort=version")
    assert [(each["rates"], each["replaced"]) for each in found] == [(2, None), (0, 1)]
    assert site.api.ask("GET", "/decks/begun/lookup?number=4420").json["rate"] is None
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Version 3 is in force").wait_for()
    assert site.items("/decks/begun/versions?sort=version")[-1]["content"] == 1


def test_a_long_difference_is_shown_in_part_and_downloaded_whole(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "many", "keys": {"deck": True}}).status == 201
    page = boss.go("/rates/many?tab=import", "many")

    def many(route: Route) -> None:
        answer = route.fetch()
        if route.request.headers["accept"] == "application/x-ndjson":
            closed = answer.text().replace('"new"', '"closed"').replace('"44"', '"33"')
            route.fulfill(response=answer, body=20_001 * answer.text() + closed)
            return
        report = answer.json()
        route.fulfill(response=answer, json=report | {"changes": report["changes"] | {"new": 20_001, "closed": 1}})

    page.route(re.compile(r"/api/v1/jobs/\d+/result$"), many)
    chosen(page, "prefix,area,billing_rate,interval\n44,United Kingdom,0.30,30/6\n")
    compared(page)
    page.get_by_text("all 20002", exact=True).wait_for()
    page.get_by_text("Of each kind the first 20000 are shown here").wait_for()
    expect(page.get_by_label("Difference").locator("table")).to_have_attribute("aria-rowcount", "20002")
    page.get_by_text("gone 1", exact=True).click()
    assert rows(page, "Difference")[0].startswith("gone 33")
    page.unroute_all()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download as CSV").click()
    assert "\nnew,44," in downloading.value.path().read_text()


def test_a_comparison_is_cancelled_by_its_button_and_with_its_page(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "long", "keys": {"deck": True}}).status == 201
    cancelled: list[str] = []

    def take_long(route: Route) -> None:
        number = route.request.url.rpartition("/")[2]
        if route.request.method == "DELETE":
            cancelled.append(number)
        job = site.api.ask("GET", f"/jobs/{number}").json
        route.fulfill(json=job | {"state": "cancelled" if number in cancelled else "running"})

    page = boss.go("/rates/long?tab=import", "long")
    page.route(re.compile(r"/api/v1/jobs/\d+$"), take_long)
    chosen(page, "prefix,area,billing_rate,interval\n44,United Kingdom,0.30,30/6\n")
    compares = page.get_by_role("button", name="Compare with the present rates")
    cancels = page.get_by_role("button", name="Cancel", exact=True)
    expect(compares).to_be_enabled()  # once the file is read
    compares.press("Enter")
    with page.expect_request(is_cancelling):
        cancels.press("Enter")
    expect(cancels).to_have_count(0)
    expect(compares).to_be_focused()
    expect(page.get_by_role("alert")).to_have_count(0)
    compares.press("Enter")
    cancels.wait_for()
    with page.expect_request(is_cancelling):
        chosen(page, "prefix,area,billing_rate,interval\n44,United Kingdom,0.31,30/6\n", "other.csv")
    expect(compares).to_be_enabled()
    compares.press("Enter")
    cancels.wait_for()
    with page.expect_request(is_cancelling):
        page.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide'))")  # as by a tab that is closed
    expect(page.get_by_role("alert")).to_contain_text("cancelled")
    assert len(set(cancelled)) == len(cancelled) == 3
    page.unroute_all()


def is_cancelling(request: Request) -> bool:
    return request.method == "DELETE" and "/api/v1/jobs/" in request.url


def test_a_sheet_is_put_in_force_by_the_keyboard_alone(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "typed", "keys": {"deck": True}}).status == 201
    page = boss.go("/rates/typed?tab=import", "typed")
    chosen(page, "prefix,area,billing_rate,interval\n44,United Kingdom,0.30,30/6\n")
    compares = page.get_by_role("button", name="Compare with the present rates")
    expect(compares).to_be_enabled()  # once the file is read
    compares.press("Enter")
    page.get_by_role("radiogroup", name="Difference").wait_for()
    expect(compares).to_be_focused()
    page.get_by_role("button", name="Put in force").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Put in force").press("Enter")
    page.get_by_text("Version 1 is in force").wait_for()
    expect(page.get_by_role("heading", level=1)).to_be_focused()  # the button is gone


def test_a_sheet_that_takes_long_to_put_in_force_says_how_far_it_is(site: Watched, boss: Visitor) -> None:
    """A million rates take minutes, in which the question said nothing."""
    assert site.api.ask("POST", "/rate-groups", {"name": "slow", "keys": {"deck": True}}).status == 201
    page = boss.go("/rates/slow?tab=import", "slow")
    chosen(page, "prefix,area,billing_rate,interval\n44,United Kingdom,0.30,30/6\n")
    compared(page)
    goes_on: list[bool] = []

    def take_long(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | ({} if goes_on else {"state": "running", "progress": 0.4}))

    page.route(re.compile(r"/api/v1/jobs/\d+$"), take_long)
    page.get_by_role("button", name="Put in force").click()
    asks = page.get_by_role("dialog")
    expect(asks.get_by_role("progressbar")).to_have_count(0)
    asks.get_by_role("button", name="Put in force").click()
    progress = asks.get_by_role("progressbar", name="Progress %")
    expect(progress).to_have_attribute("aria-valuenow", "40")
    assert violations(page) == []
    page.emulate_media(forced_colors="active")
    background = "each => getComputedStyle(each).backgroundColor"
    assert progress.evaluate(background) != asks.evaluate(background)
    page.emulate_media(forced_colors="null")
    goes_on.append(True)
    page.get_by_text("Version 1 is in force").wait_for()
    page.unroute_all()


def test_a_sheet_that_changes_nothing_has_no_undo(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "same", "keys": {"deck": True}}).status == 201
    sheet = "prefix,area,billing_rate,interval\n44,United Kingdom,0.30,30/6\n"
    imported(site, "same", sheet)
    page = boss.go("/rates/same?tab=import", "same")
    chosen(page, sheet)
    put_in_force(page)
    page.get_by_text("Version 1 has these rates already: nothing was imported").wait_for()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


def test_terms_of_one_sheet_are_not_those_of_the_next(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "terms", "keys": {"deck": True}}).status == 201
    imported(site, "terms", "prefix,billing_rate\n44,0.30\n49,0.05\n")
    page = boss.go("/rates/terms?tab=import", "terms")
    chosen(page, "prefix,billing_rate\n44,0.30\n33,0.02\n")
    compared(page)
    page.get_by_label("Memo").fill("contract 4711")  # which the comparison does not depend on
    page.get_by_label("Also if more than a fifth").check()
    page.get_by_role("button", name="Put in force").click()
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()
    page.get_by_text("Version 2 is in force").wait_for()
    chosen(page, "prefix,billing_rate\n44,0.30\n")
    expect(page.get_by_label("Memo")).to_have_value("")
    compared(page)
    expect(page.get_by_label("Also if more than a fifth")).not_to_be_checked()
    page.get_by_role("button", name="Put in force").click()
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()
    expect(page.get_by_role("alert")).to_contain_text("Check this box if that is meant")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert violations(page) == []
    page.get_by_label("Also if more than a fifth").check()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert [each["memo"] for each in site.items("/decks/terms/versions?sort=version")] == [None, "contract 4711"]


def test_a_question_goes_with_the_right_of_its_person(site: Watched, newcomer: Visit) -> None:
    page = newcomer("rates").go("/rates/wholesale?tab=import", "wholesale")
    name = page.get_by_role("button", name=re.compile("^p")).inner_text()
    chosen(page, "prefix,billing_rate\n44,0.31\n")
    put_in_force_button = page.get_by_role("dialog").get_by_role("button", name="Put in force")
    compared(page)
    page.get_by_role("button", name="Put in force").click()
    page.context.clear_cookies()
    put_in_force_button.click()
    logged_in_again(page, name)
    put_in_force_button.wait_for()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_count(0)
    assert site.api.ask("PUT", f"/people/{name}/role", {"role": "viewer"}).status == 200
    put_in_force_button.click()
    logged_in_again(page, name)
    page.get_by_role("dialog", name="What you had entered is gone").wait_for()
    expect(page.get_by_role("dialog")).to_have_count(1)
    expect(page.get_by_role("tab", name="Import a sheet")).to_have_count(0)


def test_a_date_that_is_entered_in_part_is_not_left_out(boss: Visitor) -> None:
    page = boss.go("/rates/wholesale?tab=import", "wholesale")
    chosen(page, "prefix,billing_rate\n44,0.30\n")
    compared(page)
    effective = page.get_by_label("In force from (empty = by the sheet)")
    effective.click()
    page.keyboard.type("03012027")
    assert effective.evaluate("field => field.validity.badInput")
    effective.blur()
    expect(page.get_by_role("button", name="Put in force")).to_have_count(0)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Compare with the present rates").click()
    expect(effective).to_be_focused()
    assert [url for url in asked if "/imports" in url] == []


def test_the_comparison_has_warnings_and_all_columns_of_a_rate(site: Watched, boss: Visitor) -> None:
    keys = {"deck": True, "notice_days": 7}
    assert site.api.ask("POST", "/rate-groups", {"name": "noticed", "keys": keys}).status == 201
    head = "prefix,area,billing_rate,interval"
    imported(site, "noticed", f"{head}\n44,UK,0.30,30/6\n4420,London,0.20,1/1\n49,Germany,0.05,1/1\n")
    page = boss.go("/rates/noticed?tab=import", "noticed")
    chosen(page, f"{head},Valid as of\n44,UK,0.35,30/6,2027-03-01\n0033,France,0.02,60/60,2027-03-01\n")
    page.get_by_label(BY_SERVER).uncheck()
    compared(page)
    warnings = page.get_by_role("note").inner_text()
    for each in (
        "Columns that are not read: Valid as of",
        "1 prefix begins with 00 and prices no number in international form (E.164): 0033.",
        "1 prefix is not in the sheet; its calls then have the rate of a shorter prefix",
        "1 prefix is not in the sheet; its calls then have no rate",
        "1 increase with less than 7 days' notice: 44",
    ):
        assert each in warnings, warnings
    assert [row.replace(NONE, "-") for row in rows(page, "Difference")] == [
        "new 0033 France - 0.02 USD - 60/60 - -",
        "dearer 44 UK 0.30 USD 0.35 USD 30/6 30/6 - -",
        "gone 4420 London 0.20 USD - 1/1 - - 0.35 USD",
        "gone 49 Germany 0.05 USD - 1/1 - - -",
    ]
    assert violations(page) == []


def test_a_rise_to_come_that_is_brought_forward_or_put_off_is_shown(site: Watched, boss: Visitor) -> None:
    keys = {"deck": True, "notice_days": 7}
    assert site.api.ask("POST", "/rate-groups", {"name": "rising", "keys": keys}).status == 201
    rise = "prefix,billing_rate\n44,0.05\n49,0.03\n"
    imported(site, "rising", rise.replace("0.05", "0.01"))
    imported(site, "rising", rise, "?effective=2126-12-20T00:00:00Z")
    page = boss.go("/rates/rising?tab=import", "rising")
    chosen(page, rise)
    compared(page)
    assert "1 increase with less than 7 days' notice: 44" in page.get_by_role("note").inner_text()
    (shown,) = rows(page, "Difference")
    assert shown.startswith("dearer 44")
    assert "0.01 USD 0.05 USD" in shown
    assert re.search(r"0\.05 USD 2126-12-(19|20) ", shown), shown
    assert violations(page) == []
    page.get_by_label("In force from").fill("2127-01-15T00:00")
    put_in_force(page)
    early = (
        "1 rate of the sheet begins sooner than it says, because the deck has the same rate to come already: 44 (2126"
    )
    expect(page.get_by_role("status").filter(has_text="Version 2 has these rates already")).to_contain_text(early)

    chosen(page, rise.replace("0.05", "0.07"))
    page.get_by_label("In force from").fill("2127-02-01T00:00")
    compared(page)
    page.get_by_role("button", name="Put in force").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("Put 1 change of rising in force?")
    expect(asked).to_contain_text(re.compile(r"hold from 2127-02-01 00:00:00 \w+"))
    asked.get_by_role("button", name="Put in force").click()
    page.get_by_text(re.compile("Version 3 is stored: its rates hold from 2127-02-01")).wait_for()


def test_a_sheet_whose_header_is_not_that_of_before_is_mapped_by_its_titles(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "renamed", "keys": {"deck": True}}).status == 201
    imported(site, "renamed", "prefix,area,billing_rate\n44,United Kingdom,0.02\n")
    page = boss.go("/rates/renamed?tab=import", "renamed")
    chosen(page, "Code;Destination;Rate\n44;United Kingdom;0,025\n")
    page.get_by_role("button", name="Compare with the present rates").click()
    page.get_by_text("The columns above are chosen by their titles").wait_for()
    expect(page.get_by_label(BY_SERVER)).not_to_be_checked()
    expect(page.get_by_role("combobox", name="Prefix", exact=True)).to_have_value("Code")
    compared(page)
    assert rows(page, "Difference")[0].startswith("dearer 44 United Kingdom 0.02 USD 0.025 USD")
    expect(page.get_by_text("The columns above are chosen by their titles")).to_have_count(0)


def test_a_sheet_in_another_encoding_is_read_as_it_is_said(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "eastern", "keys": {"deck": True}}).status == 201
    page = boss.go("/rates/eastern?tab=import", "eastern")
    chosen(page, "\u524d\u7f00,area,rate\n86,\u4e2d\u56fd,0.02\n", encoding="gb18030")
    preview = page.get_by_label("First lines of the sheet")
    preview.get_by_text("0.02").wait_for()
    assert "\u4e2d\u56fd" not in preview.inner_text()
    page.get_by_label("Encoding").fill("gb18030")
    preview.get_by_text("\u4e2d\u56fd").wait_for()
    choose_column(page, "Prefix", "\u524d\u7f00")
    compared(page)
    assert rows(page, "Difference")[0].startswith("new 86 \u4e2d\u56fd")
    page.get_by_role("button", name="Put in force").click()
    page.get_by_role("dialog").get_by_role("button", name="Put in force").click()
    page.get_by_text("Version 1 is in force").wait_for()
    chosen(page, "\u524d\u7f00,area,rate\n86,\u4e2d\u56fd,0.03\n", encoding="gb18030")
    page.get_by_label(BY_SERVER).uncheck()
    preview.get_by_text("\u4e2d\u56fd").wait_for()
    expect(page.get_by_label("Encoding")).to_have_value("gb18030")


def test_a_map_that_says_more_than_the_console_asks_is_used_again(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "codes", "keys": {"deck": True}}).status == 201
    columns = {"prefix": ["Country Code", "Area Code"], "area": "Destination", "billing_rate": "Rate"}
    sheet = "Country Code,Area Code,Destination,Rate\n44,20,London,0.30\n49,30,Berlin,0.05\n"
    said = json.dumps({"columns": columns, "constants": {"interval": "60/60"}})
    imported(site, "codes", sheet, "?" + urlencode({"map": said}))
    page = boss.go("/rates/codes?tab=import", "codes")
    chosen(page, sheet.replace("0.30", "0.35"))
    put_in_force(page)
    page.get_by_text("Version 2 is in force").wait_for()
    rates = site.api.ask("GET", "/decks/codes/rates?version=2").content.decode()
    assert [row.split(",")[0] for row in rates.splitlines()[1:]] == ["4420", "4930"]
    assert rates.count("60/60") == 2
    chosen(page, sheet.replace("0.30", "0.40"))
    page.get_by_label(BY_SERVER).uncheck()
    choose_column(page, "Prefix", "Country Code")
    compared(page)
    assert [row.split()[:2] for row in rows(page, "Difference")] == [
        ["new", "44"], ["gone", "4420"], ["new", "49"], ["gone", "4930"],
    ]  # fmt: skip
    expect(page.get_by_text("Read as last time with this header")).to_have_count(0)


def test_a_header_is_read_as_the_server_reads_it(site: Watched, boss: Visitor) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "western", "keys": {"deck": True}}).status == 201
    page = boss.go("/rates/western?tab=import", "western")
    chosen(page, 'Pr\u00e9fixe;Zone;"Prix\nUSD"\n44;UK, mobile, all, of, it;0,30\n', encoding="cp1252")
    choose_column(page, "Prefix", "Pr\u00e9fixe")
    choose_column(page, "Price", "Prix USD")
    expect(page.get_by_role("combobox", name="Decimal sign")).to_have_value(",")
    compared(page)
    assert rows(page, "Difference")[0].startswith("new 44 UK, mobile, all, of, it")
    assert "no UTF-8, so Windows-1252" in page.get_by_role("note").inner_text()


def test_a_sheet_that_was_saved_after_it_was_chosen_is_to_be_chosen_again(boss: Visitor, tmp_path: Path) -> None:
    """Browsers do not send it, and say no more than that the request has failed."""
    sheet = tmp_path / "mended.csv"
    sheet.write_text("prefix,price\n44,not a price\n")
    page = boss.go("/rates/wholesale?tab=import", "wholesale")
    page.locator("input[type=file]").set_input_files(sheet)
    page.get_by_text("mended.csv").first.wait_for()
    sheet.write_text("prefix,price_per_minute\n44,0.02\n")
    page.get_by_role("button", name="Compare with the present rates").click()
    said = page.get_by_role("alert")
    expect(said).to_contain_text("mended.csv was changed, moved or deleted after it was chosen: nothing was sent")
    expect(said).to_contain_text("Choose it again")


def test_a_sheet_with_mistakes_cannot_be_put_in_force(boss: Visitor) -> None:
    page = boss.go("/rates/wholesale?tab=import", "wholesale")
    chosen(page, "prefix,billing_rate\n44,dear\n")
    page.get_by_role("button", name="Compare with the present rates").click()
    expect(page.get_by_label("1 row that cannot be read")).to_contain_text("dear")
    expect(page.get_by_role("button", name="Put in force")).to_have_count(0)


def test_a_number_is_looked_up_in_all_tables(boss: Visitor) -> None:
    page = boss.go("/rates", "Rates")
    page.locator("input[inputmode=tel]").fill("+44 20 1")
    page.get_by_role("button", name="Look up").click()
    expect(page).to_have_url(re.compile(r"number=%2B44201$"))
    page.get_by_label("Rates of +44201").get_by_role("link", name="wholesale").wait_for()
    assert "sell 44 United Kingdom 0.60 USD minute 6/6" in "\n".join(rows(page, "Rates of +44201"))
    assert violations(page) == []


@pytest.mark.parametrize(
    ("address", "title", "field", "button"),
    [
        ("/rates?number=44201&at=soon", "Rates", "Moment (empty = now)", "Look up"),
        ("/try?gateway=acme-pbx&caller=1202&callee=44201&at=soon", "Try a call", "Moment (empty = now)", "Explain"),
        ("/cdrs?callee=44201&since=soon", "Call search", "From", "Search"),
        ("/cdrs?callee=44201&until=soon", "Call search", "To", "Search"),
    ],
)
def test_what_is_no_moment_in_an_address_is_left_out_by_the_next_question(
    boss: Visitor, address: str, title: str, field: str, button: str
) -> None:
    """The person could not take it out: the field is empty."""
    page = boss.go(address, title)
    page.get_by_role("alert").filter(has_text="'soon'").wait_for()
    expect(page.get_by_label(field, exact=True)).to_have_value("")
    page.get_by_role("button", name=button, exact=True).click()
    expect(page).to_have_url(re.compile(r"callee=44201$|number=44201$"))
    expect(page.get_by_role("alert").filter(has_text="'soon'")).to_have_count(0)


def test_versions_lead_back_for_those_who_may(site: Watched, boss: Visitor, visit: Visit) -> None:
    assert site.api.ask("POST", "/rate-groups", {"name": "retail", "keys": {"deck": True}}).status == 201
    for price in ("0.30", "0.35"):
        imported(site, "retail", f"prefix,area,billing_rate\n44,=1+1,{price}\n")
    page = boss.go("/rates/retail?tab=versions", "retail")
    expect(page.get_by_label("Versions", exact=True).locator("tbody tr")).to_have_count(2)
    page.get_by_role("button", name="Back to the version before").click()
    expect(page.get_by_role("dialog")).to_contain_text("Put the rates of version 1 of retail in force again?")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").first.click()
    assert download.value.suggested_filename == "retail-2.csv"
    assert b"0.35,'=1+1," in download.value.path().read_bytes()
    assert violations(page) == []
    viewer = visit("viewer", size=NARROW, language="zh").go("/rates/retail?tab=versions", "retail")
    viewer.get_by_role("button", name="CSV").first.wait_for()
    expect(viewer.get_by_role("tab")).to_have_count(2)
    expect(viewer.get_by_role("button", name="回到之前的版本")).to_have_count(0)
    assert viewer.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


def test_a_workbook_that_the_server_cannot_read_is_to_be_saved_as_csv(boss: Visitor, tmp_path: Path) -> None:
    page = boss.go("/rates/wholesale?tab=import", "wholesale")
    titled = [["Carrier X"], ["Valid from", "01.12.2026"], ["Code", "Price"], ["44", "0.0113"]]
    page.locator("input[type=file]").set_input_files(xlsx(tmp_path / "titled.xlsx", titled))
    expect(page.get_by_text("Save the sheet with the rates as CSV")).to_have_count(0)
    page.get_by_role("button", name="Compare with the present rates").click()
    page.get_by_text("Save the sheet with the rates as CSV (UTF-8) and choose that file").wait_for()
    assert violations(page) == []
