"""Running calls, gateways, reports, and routes before they are saved, as an operator works with them."""

import re
from datetime import date, timedelta

import pytest
from api.watched import Watched, blacklist, refused_call
from doubles.sockets.peer import Peer
from e2e.addresses import VENDORS
from e2e.conversation import conversing
from playwright.sync_api import Locator, Page, Route, expect

from console.conftest import (
    GO,
    NARROW,
    Visit,
    Visitor,
    cut_cells,
    fits_a_telephone,
    lose_the_answer,
    meanwhile,
    route_once,
    see,
    violations,
)
from console.made_answers import made_page
from console.test_screens import changed, rows

CLICKED_TWICE = """button => {
    const next = new MessageChannel();
    next.port1.onmessage = () => button.click();
    next.port2.postMessage(null);
    button.click();
}"""
"""Both clicks wait already when the first one is handled, as in a browser that is busy: no timer ends in between."""


@pytest.fixture(scope="module", autouse=True)
def traffic(site: Watched) -> None:
    """Have a call that was charged and one that was refused."""
    refused_call(site)
    with conversing(site.stage, "4410") as (conversation,):
        conversation.establish()
        conversation.hang_up()
        site.stage.record_of(conversation.callee)
    site.daemon.succeed("report", "rebuild")  # the switch adds calls up half a minute after its start
    assert site.api.ask("GET", "/reports/routing-gateways").json["rows"]


def confirmed(page: Page, act: str) -> None:
    page.get_by_role("button", name=act, exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name=act, exact=True).click()


def test_the_calls_of_a_destination_are_hung_up_together(site: Watched, boss: Visitor) -> None:
    boss.page.route(
        "**/api/v1/events", lambda route: route.fulfill(content_type="text/event-stream", body="retry: 9\n\n")
    )
    page = boss.go("/calls?group=destination", "Calls now")
    with conversing(site.stage, "4410", "4410") as (first, second):
        first.establish()
        second.establish()
        page.get_by_text("2 calls", exact=True).wait_for()  # the row of both is there with the first
        expect(page.get_by_label("Calls now").locator("tbody tr")).to_have_count(1)
        expect(page.get_by_label("Calls now").locator("tbody tr")).to_contain_text("4410")
        page.route("**/api/v1/calls?*", lambda route: route.abort())
        page.get_by_role("alert").filter(has_text="The switch does not answer").wait_for()
        expect(page.get_by_label("Calls now").locator("tbody tr.gone")).to_contain_text("4410")
        page.get_by_text("calls may have ended since").wait_for()
        expect(page.get_by_label("Calls now").locator("tbody")).not_to_contain_text("≈")
        page.unroute_all()
        expect(page.get_by_role("alert")).to_have_count(0)
        page.get_by_role("checkbox", name="Select all calls of 4410").check()
        page.get_by_role("button", name="Hang up 2").click()
        expect(page.get_by_role("dialog")).to_contain_text("Hang up 2 calls?")
        with meanwhile(first.is_ended_by_the_switch, second.is_ended_by_the_switch):
            page.get_by_role("dialog").get_by_role("button", name="Hang up").click()
        page.get_by_text("Calls ended: 2 of 2").wait_for()
        expect(page.get_by_role("heading", level=1)).to_be_focused()  # the button may not be pressed any more
        assert violations(page) == []
    site.stage.expect_nothing_left()


def test_hidden_pages_of_running_calls_leave_the_connections_of_the_browser_to_others(newcomer: Visit) -> None:
    visitor = newcomer()
    context = visitor.page.context
    streams: list[str] = []
    context.on("request", lambda request: streams.append(request.url) if "/events" in request.url else None)
    visitor.go("/calls", "Calls now")
    for _ in range(3):
        with context.expect_event("requestfailed", lambda request: request.url.endswith("/api/v1/events")):
            see(visitor.page, "hidden")
        visitor = visitor._replace(page=context.new_page())
        visitor.go("/calls", "Calls now")
    visitor.page.get_by_text("0 calls", exact=True).wait_for()
    expect(visitor.page.get_by_text("three other windows have live events")).to_have_count(0)
    assert len(streams) == 4, "each window has opened one, and none opens it again while it is hidden"


def test_a_fourth_window_of_running_calls_takes_the_stream_of_one_that_is_closed(newcomer: Visit) -> None:
    visitor = newcomer()
    context = visitor.page.context
    context.clock.install()
    streams: list[str] = []
    context.on("request", lambda request: streams.append(request.url) if "/events" in request.url else None)
    pages = [visitor.page, *(context.new_page() for _ in range(3))]
    crowded = "three other windows have live events"
    for number, page in enumerate(pages):
        visitor._replace(page=page).go("/calls", "Calls now")
        page.get_by_text("0 calls", exact=True).wait_for()
        expect(page.get_by_text(crowded)).to_have_count(int(number == 3))
    assert len(streams) == 3
    context.clock.run_for(16_000)
    expect(pages[3].get_by_text(crowded)).to_have_count(1)
    pages[0].close()
    with pages[3].expect_request(lambda request: request.url.endswith("/api/v1/events")):
        context.clock.run_for(16_000)
    expect(pages[3].get_by_text(crowded)).to_have_count(0)


def test_running_calls_are_read_without_a_stream_for_a_role_that_may_see_no_events(
    site: Watched, newcomer: Visit
) -> None:
    visitor = newcomer("rates")
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    page = visitor.go("/calls", "Calls now")
    page.get_by_text("0 calls", exact=True).wait_for()
    expect(page.get_by_role("main")).to_contain_text("Read again every 15 s, without the right to see live events")
    assert any(each.endswith("/api/v1/calls") or "/api/v1/calls?" in each for each in asked)
    assert [each for each in asked if "/events" in each] == []


def test_a_gateway_is_given_a_limit_and_blocked_until_a_moment_and_both_are_taken_back(
    site: Watched, boss: Visitor
) -> None:
    page = boss.go("/gateways/carrier-b", "carrier-b")
    expect(page.get_by_label("The last day by the hour")).to_contain_text("carrier-b")
    page.get_by_label("Limit of calls").fill("7")
    orders: list[str] = []
    page.on("request", lambda request: orders.append(request.url) if request.method == "POST" else None)
    page.get_by_role("button", name="Set", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Set", exact=True).evaluate(CLICKED_TWICE)
    page.get_by_text("Set: Limit of calls 7").wait_for()
    assert len(orders) == 1, "the second click has given the order again"
    (override,) = site.items("/overrides")
    assert (override["name"], override["setting"], override["value"]) == ("carrier-b", "max_concurrent", "7")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Set by operators").locator("tbody tr")).to_have_count(0)
    page.get_by_label("Until (empty").fill("2099-01-01T00:00")
    page.get_by_role("button", name="Block until then").click()
    expect(page.get_by_role("dialog")).to_contain_text("taken from it until 2099-01-01 00:00:00. Running calls go on.")
    page.get_by_role("dialog").get_by_role("button", name="Block until then").click()
    page.get_by_text("carrier-b is blocked").wait_for()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    (block,) = site.items("/overrides")
    assert (block["setting"], block["until"] > "2098-12-30") == ("blocked", True)
    assert violations(page) == []
    confirmed(page, "Clear")
    expect(page.get_by_label("Set by operators").locator("tbody tr")).to_have_count(0)
    assert site.items("/overrides") == []


def test_the_limit_that_a_colleague_has_given_a_gateway_behind_an_open_question_is_not_replaced(
    site: Watched, boss: Visitor
) -> None:
    page = boss.go("/gateways/carrier-b", "carrier-b")
    page.get_by_label("Limit of calls").fill("7")
    page.get_by_role("button", name="Set", exact=True).click()
    asked = page.get_by_role("dialog")
    asked.wait_for()
    for values in ({"max_concurrent": "3"}, {"max_cps": "2"}):
        assert site.api.ask("POST", "/gateways/carrier-b/overrides", {"values": values}).status == 200
    expect(page.get_by_label("Set by operators").locator("tbody tr")).to_have_count(2)  # read again behind the question
    asked.get_by_role("button", name="Set", exact=True).click()
    expect(asked.get_by_role("alert")).to_contain_text("This is not as you have opened it any more")
    limits = {each["setting"]: each["value"] for each in site.items("/overrides")}
    assert limits == {"max_concurrent": "3", "max_cps": "2"}
    asked.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Set by operators").locator("tbody tr")).to_have_count(2)
    confirmed(page, "Set")
    page.get_by_text("Set: Limit of calls 7").wait_for()
    assert {each["value"] for each in site.items("/overrides")} == {"7", "2"}
    assert site.api.ask("DELETE", "/overrides?name=carrier-b&confirm=true").status == 200


def test_a_limit_whose_answer_was_lost_is_taken_back_unless_the_page_has_shown_it_before_it_was_ordered_again(
    site: Watched, boss: Visitor
) -> None:
    page = boss.go("/gateways/carrier-b", "carrier-b")
    asked, rows_set = page.get_by_role("dialog"), page.get_by_label("Set by operators").locator("tbody tr")
    said = page.get_by_role("status").filter(has_text=re.compile("Nothing was done now.*Set: Limit of calls 7"))
    for is_shown in (False, True):
        page.get_by_label("Limit of calls").fill("7")
        route_once(page, "**/api/v1/gateways/carrier-b/overrides", lose_the_answer)
        page.get_by_role("button", name="Set", exact=True).click()
        asked.get_by_role("button", name="Set", exact=True).click()
        expect(asked).to_contain_text("is not done twice")
        if is_shown:
            asked.get_by_role("button", name="Cancel").click()
            expect(rows_set).to_have_count(1)
            page.get_by_role("button", name="Set", exact=True).click()
        asked.get_by_role("button", name="Set", exact=True).click()
        said.wait_for()
        undo = said.get_by_role("button", name="Undo")
        if is_shown:
            expect(undo).to_have_count(0)
        else:
            undo.click()
            expect(rows_set).to_have_count(0)
    assert site.api.ask("DELETE", "/overrides?name=carrier-b&confirm=true").status == 200


def test_a_gateway_is_given_no_limit_without_the_end_that_was_entered_in_part(boss: Visitor) -> None:
    page = boss.go("/gateways/carrier-b", "carrier-b")
    page.get_by_label("Limit of calls").fill("7")
    until = page.get_by_label("Until (empty")
    until.press("1")  # a month without a day, a year and a time
    page.get_by_role("button", name="Set", exact=True).click()
    expect(until).to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)
    until.fill("2099-01-01T00:00")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Limit of calls 7 until 2099-01-01 00:00:00")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_label("Limit of calls").fill("")
    until.fill("")


def test_a_block_of_a_gateway_that_began_after_its_page_was_read_is_ended_once_it_was_shown(
    site: Watched, boss: Visitor
) -> None:
    site.daemon.succeed("gateway", "block", "carrier-b", "--memo", "mistake")
    before = {"items": site.items("/overrides"), "next": None}
    boss.page.route("**/api/v1/overrides?*", lambda route: route.fulfill(json=before))
    page = boss.go("/gateways/carrier-b", "carrier-b")
    end = page.get_by_role("button", name="End the block")
    end.wait_for()
    site.daemon.succeed("gateway", "unblock", "carrier-b")
    site.daemon.succeed("gateway", "block", "carrier-b", "--memo", "fraud")
    end.click()
    page.get_by_role("alert").filter(has_text="block").wait_for()
    assert [each["memo"] for each in site.items("/overrides")] == ["fraud"]
    page.unroute_all()
    expect(page.get_by_label("Set by operators")).to_contain_text("fraud")  # read again without a visit
    end.click()
    page.get_by_text("carrier-b is not blocked").or_(page.get_by_role("button", name="Undo")).first.wait_for()
    assert site.items("/overrides") == []


def test_a_gateway_is_changed_only_where_the_page_has_read_what_it_replaces(site: Watched, newcomer: Visit) -> None:
    assert site.api.ask("POST", "/gateways/carrier-b/overrides", {"values": {"max_concurrent": "3"}}).status == 200
    assert site.api.ask("POST", "/gateways/carrier-b/block", {}).status == 200
    visitor, held = newcomer(), list[Route]()
    route_once(visitor.page, "**/api/v1/overrides?name=carrier-b", held.append)
    page = visitor.go("/gateways/carrier-b", "carrier-b")
    page.get_by_text("blocked", exact=True).first.wait_for()
    page.get_by_label("Limit of calls").fill("7")
    page.get_by_label("Until (empty").fill("2099-01-01T00:00")
    orders = page.get_by_role("button", name=re.compile("^(Set|Block until then)$"))
    for order in orders.all():
        expect(order).to_be_disabled()
    expect(page.get_by_role("button", name=re.compile("^(Block|End the block)$"))).to_have_count(0)
    (late,) = held
    late.continue_()
    page.get_by_role("button", name="End the block").wait_for()
    for order in orders.all():
        expect(order).to_be_enabled()
    confirmed(page, "Set")
    page.get_by_text("Set: Limit of calls 7").wait_for()
    assert site.api.ask("DELETE", "/overrides?name=carrier-b&confirm=true").status == 200


def test_a_gateway_that_is_blocked_with_its_account_leads_to_the_block(site: Watched, boss: Visitor) -> None:
    account = site.api.ask("GET", "/gateways/quality?gateway=carrier-b").json["items"][0]["account"]
    page = boss.go(f"/accounts/{account}", account)
    page.get_by_role("button", name="Block", exact=True).click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("Its gateways get no new calls until the block is ended.")
    expect(asked.get_by_role("checkbox")).to_have_count(0)
    asked.get_by_role("button", name="Block", exact=True).click()
    page.get_by_text(f"{account} is blocked").wait_for()
    page = boss.go("/gateways/carrier-b", "carrier-b")
    said = page.get_by_role("status").filter(has_text="Its account is blocked")
    said.wait_for()
    assert violations(page) == []
    expect(page.get_by_role("button", name="End the block")).to_have_count(0)
    page.get_by_role("button", name="Block", exact=True).wait_for()

    def closed(route: Route) -> None:
        found = route.fetch()
        route.fulfill(response=found, json={**found.json(), "closed": True})

    page.route(f"**/accounts/{account}/balance?*", closed)
    page.reload()
    page.get_by_role("status").filter(has_text="Its account is closed").wait_for()  # no block of it is to be ended
    expect(said).to_have_count(0)
    page.unroute(f"**/accounts/{account}/balance?*")
    page.reload()
    said.get_by_role("link", name=account).click()
    page.get_by_role("button", name="End the block").click()
    page.get_by_text(f"{account} is not blocked any more").wait_for()
    assert site.items("/overrides") == []


def test_a_test_call_is_made_after_a_question_and_shows_its_steps(boss: Visitor) -> None:
    page = boss.go("/gateways/carrier-b", "carrier-b")
    page.get_by_label("Number to call").fill("4420777")
    with Peer(VENDORS["carrier-b"]) as vendor:

        def refuse() -> None:
            vendor.reply(vendor.expect("INVITE"), 486, tag="vendor")
            vendor.expect("ACK")

        page.get_by_role("button", name="Call now").click()
        expect(page.get_by_role("dialog")).to_contain_text("Call 4420777 through carrier-b?")
        with meanwhile(refuse):
            page.get_by_role("dialog").get_by_role("button", name="Call now").click()
        expect(page.get_by_label("Steps")).to_contain_text("INVITE to")
    page.get_by_text("refused", exact=True).wait_for()
    page.get_by_role("status").filter(has_text="486").wait_for()
    assert violations(page) == []


def test_two_gateways_stand_side_by_side(boss: Visitor) -> None:
    page = boss.go("/compare", "Compare gateways")
    page.get_by_text("Choose two gateways").wait_for()
    page = boss.go("/compare?one=carrier-b&two=carrier-c", "Compare gateways")
    page.get_by_role("columnheader", name="carrier-c").wait_for()
    page.get_by_role("row", name=re.compile(r"Offered, last day [1-9]\d* [1-9]")).wait_for()
    assert violations(page) == []
    page = boss.turn("/gateways/carrier-c", "carrier-c")
    page.get_by_role("figure", name="ASR %").wait_for()
    expect(page.get_by_label("Margin of the last day")).to_contain_text("carrier-c")


def test_a_report_of_days_has_the_same_days_for_a_viewer_in_another_zone(boss: Visitor) -> None:
    span = "since=2026-11-25T16:00:00.000Z&until=2026-11-26T16:00:00.000Z&group=day"
    first, last = boss.page.get_by_label("From", exact=True), boss.page.get_by_label("To", exact=True)
    with boss.page.expect_request(re.compile("/reports/revenue.*zone=Asia%2FShanghai")):
        page = boss.go(f"/reports?name=revenue&{span}&zone=Asia/Shanghai", "Reports")
    assert [first.input_value(), last.input_value()] == ["2026-11-26", "2026-11-26"]
    page.get_by_role("status").filter(has_text="Days are those of Asia/Shanghai").wait_for()
    assert violations(page) == []
    fits_a_telephone(page)
    page.get_by_role("button", name="These days in UTC").click()
    expect(page).to_have_url(
        re.compile("since=2026-11-26T00%3A00%3A00.000Z&until=2026-11-27T00%3A00%3A00.000Z.*zone=UTC")
    )
    assert [first.input_value(), last.input_value()] == ["2026-11-26", "2026-11-26"]
    page.evaluate("localStorage.setItem('vosd.zone', 'Asia/Kathmandu')")
    page.reload()
    page.get_by_role("status").filter(has_text="Days are those of UTC").wait_for()
    assert [first.input_value(), last.input_value()] == ["2026-11-26", "2026-11-26"]

    for path in (f"/reports?name=revenue&{span}", f"/payments?{span}"):  # whose days it is stands nowhere
        page = boss.go(path)
        cut = page.get_by_role("status").filter(has_text="The first day is cut: it begins at 2026-11-25 21:45:00")
        expect(cut).to_contain_text("The last day is cut: it ends at 2026-11-26 21:45:00")
        page.get_by_role("button", name="These days in Asia/Kathmandu").click()
        expect(page).to_have_url(re.compile("since=2026-11-24T18%3A15%3A00.000Z"))
        expect(page).to_have_url(re.compile("until=2026-11-26T18%3A15%3A00.000Z.*zone=Asia%2FKathmandu"))
        expect(cut).to_have_count(0)
        last.fill("2026-11-27")
        last.blur()
        expect(page).to_have_url(re.compile("until=2026-11-27T18%3A15%3A00.000Z.*zone=Asia%2FKathmandu"))


def test_days_and_times_that_are_written_into_an_address_are_those_of_the_viewer(boss: Visitor) -> None:
    page = boss.go("/cdrs", "Call search")
    page.evaluate("localStorage.setItem('vosd.zone', 'Asia/Kathmandu')")
    page.reload()
    with page.expect_response(re.compile("/cdrs.*since=2026-10-31T18%3A15")) as searched:
        page.goto(f"{boss.base}/cdrs?since=2026-11-01&until=2026-11-02T10:00")
    assert searched.value.ok
    expect(page).to_have_url(re.compile("since=2026-10-31T18%3A15%3A00.000Z&until=2026-11-02T04%3A15%3A00.000Z"))
    with page.expect_response(re.compile("/reports/revenue")) as reported:
        page.goto(f"{boss.base}/reports?name=revenue&since=2026-11-01&until=2026-11-02&zone=Asia/Shanghai")
    assert reported.value.ok
    page.get_by_role("status").filter(has_text="Days are those of Asia/Shanghai").wait_for()
    first, last = page.get_by_label("From", exact=True), page.get_by_label("To", exact=True)
    assert [first.input_value(), last.input_value()] == ["2026-11-01", "2026-11-02"]


def test_a_report_has_a_chart_and_leads_to_the_calls_behind_a_row(boss: Visitor) -> None:
    page = boss.go("/reports?name=account-areas", "Reports")
    page.get_by_role("listitem").filter(has_text="acme United Kingdom").wait_for()
    assert violations(page) == []
    today = page.get_by_label("From", exact=True).input_value()
    page.get_by_label("To", exact=True).fill(today)
    with page.expect_response(re.compile(r"/reports/account-areas\?.*until=")):  # its rows replace those of before
        page.get_by_label("To", exact=True).blur()
    expect(page).to_have_url(re.compile("until="))
    expect(page.get_by_label("To", exact=True)).to_have_value(today)  # the day itself is in the report
    page.get_by_role("listitem").filter(has_text="acme United Kingdom").wait_for()
    page.get_by_role("row").filter(has_text="United Kingdom").get_by_role("link", name="calls", exact=True).click()
    page.get_by_label("Call search").locator("tbody tr").first.wait_for()
    expect(page.get_by_label("Area", exact=True)).to_have_value("United Kingdom")
    expect(page.get_by_label("Customer", exact=True)).to_have_value("acme")
    page.go_back()
    page.get_by_role("combobox", name="Report", exact=True).click()
    with page.expect_response(re.compile(r"/reports/revenue\?")):
        page.get_by_role("option", name="revenue", exact=True).click()
    page.get_by_label("revenue").get_by_role("link", name="calls", exact=True).first.click()
    page.get_by_label("Call search").locator("tbody tr").first.wait_for()
    assert "customer=acme" in page.url
    page = boss.turn("/reports?name=balances&group=day", "Reports")
    row = page.get_by_label("balances").get_by_role("row", name=re.compile(r"\bacme\b"))
    row.get_by_role("link", name="entries").click()
    expect(page).to_have_url(re.compile("/lists/ledger[?]account=acme&until="))
    page.get_by_role("heading", level=1, name="Ledger").wait_for()  # else the report stays, which is gone to next
    page = boss.turn("/reports?name=durations&group=5min", "Reports")
    page.get_by_role("combobox", name="Report", exact=True).click()
    page.get_by_role("option", name="durations", exact=True).click()  # which is chosen already
    page.get_by_label("Digits of callees").fill("4")
    page.get_by_label("Digits of callees").blur()
    page.get_by_role("columnheader", name="Callee begins with").wait_for()
    page.get_by_label("durations").locator("tbody tr").filter(has_text="4410").first.wait_for()
    page.get_by_role("combobox", name="Report", exact=True).click()
    page.get_by_role("option", name="revenue", exact=True).click()
    expect(page).not_to_have_url(re.compile("5min|digits"))
    page = boss.go("/reports?name=revenue&account=acme&figure=fee", "Reports")
    expect(page.get_by_role("combobox", name="Chart of")).to_have_value("Fee")
    page.get_by_label("Name to save it").fill("mine")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("mine is saved").wait_for()
    boss.go("/reports?name=daily", "Reports").get_by_role("combobox", name="Saved reports").click()
    page.get_by_role("option", name="mine").click()
    expect(page).to_have_url(re.compile("name=revenue&account=acme&figure=fee"))
    expect(page.get_by_label("Account", exact=True)).to_have_value("acme")
    page.go_back()
    expect(page.get_by_label("Account", exact=True)).to_have_value("")
    manage = page.get_by_role("button", name="Change saved reports")
    manage.click()
    page.get_by_role("menuitem", name="Delete mine").click()
    page.get_by_text("mine is deleted").wait_for()
    expect(manage).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    manage.wait_for()
    assert violations(page) == []


def test_the_last_time_below_a_line_and_the_largest_figure_beside_it_are_not_cut(boss: Visitor) -> None:
    def with_an_hour_before(route: Route) -> None:
        answer = route.fetch()
        report = answer.json()
        earlier = report["rows"][0] | {"span": report["spans"][0]["span"], "calls": 1_500_000_000}
        route.fulfill(response=answer, json=report | {"rows": [earlier, *report["rows"]]})

    today = boss.go("/reports?name=performance", "Reports").get_by_label("From", exact=True).input_value()
    yesterday = date.fromisoformat(today) - timedelta(days=1)
    route_once(boss.page, "**/api/v1/reports/performance?*", with_an_hour_before)
    page = boss.page
    page.goto(f"{boss.base}/reports?name=performance&group=hour&since={yesterday}")
    page.wait_for_function("() => document.querySelector('.u-over')?.clientWidth > 0")
    sides = "each => (({ left, right }) => [left, right])(document.querySelector(each).getBoundingClientRect())"
    line, chart = page.evaluate(f"['.u-over', '.uplot canvas'].map({sides})")  # at once: charts are made anew
    assert chart[1] - line[1] > 40, "half of the last time stands to the right of the line's end"
    figure = "document.createElement('canvas').getContext('2d')"
    width = page.evaluate(
        f"{{ const pen = {figure}; pen.font = '12px sans-serif'; pen.measureText('1 500 000 000').width; }}"
    )
    assert line[0] - chart[0] > width, "the figure would stand there without its first digits"
    page.unroute_all()
    expect(page.locator(".mantine-ComboboxChevron-chevron").first).to_have_attribute("aria-hidden", "true")


def test_a_report_that_is_shared_is_seen_by_all_operators_and_changed_by_its_owner(boss: Visitor, visit: Visit) -> None:
    page = boss.go("/reports?name=daily&group=hour&account=acme", "Reports")
    page.get_by_label("Name to save it").fill("by the hour")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("by the hour is saved").wait_for()
    page.get_by_role("button", name="Change saved reports").click()
    page.get_by_role("menuitem", name="Share by the hour with all operators").click()
    page.get_by_text("All operators see by the hour").wait_for()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    route_once(page, "**/views?*", hold)
    with page.expect_request("**/views?*"):
        boss.go("/reports?name=daily&group=day", "Reports")
    page.get_by_label("Name to save it").fill("by the hour")
    page.get_by_role("button", name="Save", exact=True).click()  # another search under the same name, of which the
    page.get_by_text("by the hour is saved").wait_for()  # page does not know yet
    before_undo = held[0].fetch()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone").wait_for()
    held[0].fulfill(response=before_undo)  # of a version that is over

    other = visit("viewer").go("/reports", "Reports")
    other.get_by_role("combobox", name="Saved reports").click()
    other.get_by_role("option", name="by the hour").wait_for()
    assert violations(other) == []  # with the headings of the options
    other.get_by_role("option", name="by the hour").click()
    expect(other).to_have_url(re.compile("name=daily&group=hour&account=acme"))
    expect(other.get_by_role("button", name="Change saved reports")).to_have_count(0)
    assert violations(other) == []
    other = visit("customer", "acme").go("/reports", "Reports")
    other.get_by_role("button", name="Save", exact=True).wait_for()
    expect(other.get_by_role("combobox", name="Saved reports")).to_have_count(0)

    page.get_by_role("button", name="Change saved reports").click()
    route_once(page, "**/views?*", hold)
    with page.expect_request("**/views?*"):
        page.get_by_role("menuitem", name="Share by the hour no longer").click()
    page.get_by_text("by the hour is no longer shared").wait_for()
    page.get_by_role("button", name="Change saved reports").click()  # before the list comes
    page.get_by_role("menuitem", name="Delete by the hour").click()
    page.get_by_text("by the hour is deleted").wait_for()
    held[1].continue_()


def tab_to(page: Page, wanted: Locator) -> None:
    """Go on by the key Tab until an element has the focus."""
    for _ in range(20):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the keyboard does not reach {wanted}")


def test_reports_are_kept_by_the_keyboard_alone_in_a_narrow_window(visit: Visit) -> None:
    visitor = visit("finance", size=NARROW)
    page = visitor.go("/reports?name=daily&group=hour", "Reports")
    keys, title = page.keyboard, page.get_by_role("heading", level=1, name="Reports")
    manage, undo = page.get_by_role("button", name="Change saved reports"), page.get_by_role("button", name="Undo")
    name = "W" * 64
    delete = page.get_by_role("menuitem", name=f"Delete {name}")
    tab_to(page, page.get_by_label("Name to save it"))
    keys.type(name)
    keys.press("Tab")
    keys.press("Enter")
    page.get_by_text(f"{name} is saved").wait_for()
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_focused()
    visitor.go("/reports?name=revenue", "Reports")
    saved = page.get_by_role("combobox", name="Saved reports")
    saved.wait_for()
    tab_to(page, saved)
    keys.press("Enter")
    page.get_by_role("option", name=name).wait_for()
    assert violations(page) == []
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(page).to_have_url(re.compile("name=daily&group=hour"))

    tab_to(page, manage)
    keys.press("Enter")
    expect(delete).to_be_focused()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
    keys.press("End")
    expect(page.get_by_role("menuitem", name=f"Share {name} with all operators")).to_be_focused()
    keys.press("Enter")
    page.get_by_text(f"All operators see {name}").wait_for()
    expect(manage).to_be_focused()
    keys.press("Enter")
    page.get_by_role("menuitem", name=f"Share {name} no longer").wait_for()
    expect(delete).to_be_focused()
    keys.press("Escape")
    expect(manage).to_be_focused()
    tab_to(page, undo)
    keys.press("Enter")
    page.get_by_text("Undone").wait_for()
    expect(title).to_be_focused()

    tab_to(page, manage)
    keys.press("Enter")
    page.get_by_role("menuitem", name=f"Share {name} with all operators").wait_for()
    expect(delete).to_be_focused()
    keys.press("Enter")
    page.get_by_text(f"{name} is deleted").wait_for()
    expect(manage).to_have_count(0)
    expect(title).to_be_focused()
    tab_to(page, undo)
    keys.press("Enter")
    manage.wait_for()
    expect(title).to_be_focused()
    tab_to(page, manage)
    keys.press("Enter")
    expect(delete).to_be_focused()
    keys.press("Enter")
    page.get_by_text(f"{name} is deleted").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


def test_a_report_that_changed_meanwhile_is_deleted_at_the_second_try_and_a_name_that_was_not_saved_stays(
    visit: Visit,
) -> None:
    visitor = visit("finance")
    page = visitor.go("/reports?name=daily", "Reports")
    name = page.get_by_label("Name to save it")
    route_once(page, "**/api/v1/views", lambda route: route.abort())
    name.fill("in vain")
    page.keyboard.press("Enter")
    page.get_by_role("alert").filter(has_text="The switch does not answer").wait_for()
    expect(name).to_have_value("in vain")
    name.press("Enter")
    page.get_by_text("in vain is saved").wait_for()
    expect(name).to_have_value("")
    kept = page.request.get(f"{visitor.base}/api/v1/views?page=reports").json()["items"]
    (view,) = (each for each in kept if each["name"] == "in vain")
    changed(page, "PUT", f"/views/{view['id']}", {"name": "yours", "query": view["query"]})
    manage = page.get_by_role("button", name="Change saved reports")
    manage.click()
    page.get_by_role("menuitem", name="Delete in vain").click()
    page.get_by_role("alert").wait_for()
    manage.click()
    page.get_by_role("menuitem", name="Delete yours").click()
    page.get_by_text("yours is deleted").wait_for()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_report_is_saved_once_more_before_the_list_has_its_name(newcomer: Visit) -> None:
    page, orders, held = newcomer().go("/reports?name=daily", "Reports"), list[str](), list[Route]()

    def hold_lists_behind_an_order(route: Route) -> None:
        if route.request.method != "GET":
            orders.append(route.request.method)
        elif orders:
            held.append(route)
            return
        route.continue_()

    page.get_by_role("button", name="Save", exact=True).wait_for()
    page.wait_for_load_state("networkidle")  # the list without it has come
    page.route(re.compile("/api/v1/views"), hold_lists_behind_an_order)
    for _ in range(2):
        page.get_by_label("Name to save it").fill("twice")
        with page.expect_response(lambda answer: "/views" in answer.url and answer.request.method != "GET") as saved:
            page.get_by_role("button", name="Save", exact=True).click()
        assert saved.value.ok
        page.get_by_text("twice is saved").wait_for()
    assert orders == ["POST", "PUT"]
    for each in held:
        each.continue_()


def test_reports_that_the_browser_keeps_are_offered_and_taken_over_by_those_who_ask_for_it(visit: Visit) -> None:
    """Another person may have made them: an operator's searches become a customer's own by no visit alone."""
    visitor = visit("viewer")
    page = visitor.go("/reports?name=daily", "Reports")
    kept = [
        {"name": "old", "search": {"name": "revenue", "account": "acme"}},
        {"name": "too long", "search": {"name": "daily", "area": "a" * 3_000}},
    ]
    page.evaluate("kept => localStorage.setItem('vosd.reports', JSON.stringify(kept))", kept)
    changes: list[str] = []
    page.on("request", lambda request: changes.append(request.method) if "/views" in request.url else None)
    page.reload()
    offered = page.get_by_role("button", name="Take over from this browser")
    saved = page.get_by_role("combobox", name="Saved reports")
    saved.click()
    page.get_by_role("option", name="too long").wait_for()
    page.get_by_role("option", name="old").click()
    expect(page).to_have_url(re.compile("name=revenue&account=acme"))
    page.get_by_role("button", name="PDF").wait_for()
    assert {*changes} == {"GET"}, "it is used where it is"

    offered.click()
    page.get_by_role("menuitem", name="Take over too long").click()
    page.get_by_role("alert").filter(has_text="2,000 at most").wait_for()
    offered.click()
    page.get_by_role("menuitem", name="Take over old").click()
    page.get_by_text("old is saved").wait_for()
    page.get_by_role("button", name="Change saved reports").wait_for()  # beside the one that was not taken over
    assert changes.count("POST") == 2, "what has failed is tried again where that is asked for"
    page.get_by_role("button", name="Undo").click()
    offered.click()
    page.get_by_role("menuitem", name="Take over old").click()
    page.get_by_role("button", name="Change saved reports").wait_for()
    assert violations(page) == []
    offered.click()
    page.get_by_role("menuitem", name="Take over too long").wait_for()
    expect(page.get_by_role("menuitem", name="Take over old")).to_have_count(0)
    page.get_by_role("menuitem", name="Delete too long in this browser").click()
    page.get_by_text("too long is deleted").wait_for()
    expect(offered).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    offered.wait_for()

    page.get_by_role("button", name="Change saved reports").click()
    page.get_by_role("menuitem", name="Delete old").click()
    page.get_by_text("old is deleted").wait_for()
    page.reload()
    saved.click()
    page.get_by_role("option", name="too long").wait_for()
    expect(page.get_by_role("option", name="old", exact=True)).to_have_count(0)  # what was deleted does not come back


def test_a_route_is_tried_on_last_weeks_calls_before_it_is_saved(site: Watched, boss: Visitor) -> None:
    keys = {"account": "vendors", "address": "192.0.2.9:5060", "prefixes": ["4499"]}
    made = site.api.ask("POST", "/routing-gateways", {"name": "newcomer", "keys": keys})
    assert made.status == 201, made.content
    page = boss.go("/objects/routing_gateways/newcomer", "newcomer")
    simulate = page.get_by_role("button", name="Try on last week's calls")
    expect(simulate).to_be_disabled()
    prefixes = page.get_by_label("prefixes", exact=False).first
    prefixes.fill("44x")
    simulate.click()
    expect(prefixes).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_have_text("Settings to correct: 1")
    prefixes.fill("44101\n44201")
    simulate.click()
    asked = page.get_by_role("dialog")
    expect(asked.get_by_role("status")).to_contain_text(re.compile(r"^([24]) of \1 calls would go elsewhere"))
    assert any(re.match("newcomer 0 [24] ", each) for each in rows(page, "By gateway"))
    assert violations(page) == []
    asked.get_by_role("button", name="Close").click()
    page.get_by_text("Try one call with this").click()
    for field, value in (("Gateway or phone", "acme-pbx"), ("Caller", "1202"), ("Called number", "44101999")):
        page.get_by_role("textbox", name=field, exact=True).fill(value)
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="as 1202 to 44101999").wait_for()
    assert rows(page, "Candidates in their order")[0].startswith("1 newcomer 44101999 1202 0.30 USD 0.30")
    assert violations(page) == []
    assert site.api.ask("GET", "/routing-gateways/newcomer").json["version"] == 1


def test_a_route_is_tried_without_money_by_those_who_do_not_see_the_books(site: Watched, visit: Visit) -> None:
    permissions = ["routes.see", "calls.see", "definitions.see", "definitions.change", "jobs"]
    assert site.api.ask("PUT", "/roles/planner", {"permissions": permissions}).status == 200
    keys = {"account": "vendors", "address": "192.0.2.9:5060", "prefixes": ["4499"]}
    made = site.api.ask("POST", "/routing-gateways", {"name": "unpriced", "keys": keys})
    assert made.status == 201, made.content
    page = visit("planner").go("/objects/routing_gateways/unpriced", "unpriced")
    page.get_by_label("prefixes", exact=False).first.fill("44101\n44201")
    page.get_by_role("button", name="Try on last week's calls").click()
    asked = page.get_by_role("dialog")
    expect(asked.get_by_role("status")).to_contain_text("calls would go elsewhere")
    expect(asked.get_by_text("may not see are left out")).to_contain_text("See the books as a whole")
    headings = asked.get_by_label("By gateway").get_by_role("columnheader").all_inner_texts()
    assert (len(headings), any("Cost" in each for each in headings)) == (3, False)
    shown = asked.inner_text()
    assert not [each for each in ("undefined", "NaN", "Fee", "Margin", "Calls below cost") if each in shown]
    assert violations(page) == []


def test_the_overview_leads_to_no_page_that_the_role_may_not_see(site: Watched, visit: Visit) -> None:
    assert site.api.ask("PUT", "/roles/watch", {"permissions": ["state.see"]}).status == 200
    page = visit("watch").go("/", "Overview")
    figures = page.get_by_role("region", name="Now")
    figures.get_by_text("Calls now").wait_for()
    assert figures.locator("a[href='/calls'], a[href='/lists/registrations']").count() == 0


def test_an_alarm_is_confirmed_with_a_note_and_kept_silent(site: Watched, boss: Visitor, visit: Visit) -> None:
    blacklist(site)
    page = boss.go("/alarms", "Alarms")
    page.get_by_role("group", name="caller_blacklisted").wait_for()
    expect(page.get_by_role("alert")).to_have_count(0)  # readers of screens would say all of them at once
    page.get_by_role("button", name="Confirm", exact=True).click()
    asked = page.get_by_role("dialog")
    asked.get_by_label("Note").fill("it is our dialler")
    asked.get_by_label("Silent until").fill("2099-01-01T00:00")
    asked.get_by_role("button", name="Confirm", exact=True).click()
    page.get_by_text("it is our dialler").first.wait_for()
    page.get_by_text(re.compile("and silent until 2099-01-01 00:00:00$")).wait_for()
    (alarm,) = site.api.ask("GET", "/alarms").json["alarms"]
    assert (alarm["note"], alarm["silent_until"] > "2098-12-30") == ("it is our dialler", True)
    assert violations(page) == []
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone").wait_for()
    (alarm,) = site.api.ask("GET", "/alarms").json["alarms"]
    assert (alarm["note"], alarm["silent_until"]) == ("it is our dialler", None)
    (line, _) = site.items("/audit?action=NoteAlarm&limit=9")
    assert line["subject"] == f"caller_blacklisted {alarm['subject']}".strip()
    expect(page.locator(".mantine-Alert-root").filter(has_text="Silent until")).to_have_count(0)
    page.get_by_role("button", name="Confirm", exact=True).click()
    asked.wait_for()
    theirs = {"subject": alarm["subject"], "note": "theirs"}
    assert site.api.ask("POST", "/alarms/caller_blacklisted/confirmation", theirs).status == 200
    asked.get_by_role("button", name="Confirm", exact=True).click()
    asked.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    asked.get_by_role("button", name="Cancel").click()
    page.get_by_text("theirs").first.wait_for()
    page.get_by_role("button", name="Confirm", exact=True).click()
    asked.get_by_label("Note").fill("of the first one")

    is_raised_again = True

    def raised_again(route: Route) -> None:
        if not is_raised_again:
            route.fallback()
            return
        found = route.fetch()
        items = [{**each, "since": "2098-01-01T10:00:00Z"} for each in found.json()["items"]]
        route.fulfill(response=found, json={**found.json(), "items": items})

    page.route("**/api/v1/alarms?*", raised_again)
    asked.get_by_role("button", name="Confirm", exact=True).click()
    asked.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    is_raised_again = False
    (alarm,) = site.api.ask("GET", "/alarms").json["alarms"]
    assert alarm["note"] == "theirs"
    asked.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    refused = site.api.ask("POST", "/alarms/gateway_down/confirmation", {"subject": "carrier-a"})
    assert (refused.status, refused.json["code"]) == (404, "no_such_alarm")
    viewer = visit("viewer", size=NARROW, language="zh").go("/alarms", "告警")
    viewer.get_by_text("主叫进入黑名单").first.wait_for()
    viewer.get_by_text(re.compile("vosd blacklist list.vosd blacklist clear NUMBER")).wait_for()
    assert cut_cells(viewer) == []
    expect(viewer.get_by_role("button", name="确认", exact=True)).to_have_count(0)
    assert viewer.evaluate("document.documentElement.scrollWidth") <= NARROW[0]


def raised(alarm: str, subject: str, text: str = "") -> dict[str, object]:
    since = {"since": "2026-01-01T10:00:00Z", "last": "2026-01-01T10:00:00Z", "count": 1, "cleared_at": None}
    return {"alarm": alarm, "subject": subject, "level": "warning", "text": text, "do": "look at it", **since}


def test_an_alarm_leads_to_what_it_is_about_and_to_its_section_of_the_documents(boss: Visitor, visit: Visit) -> None:
    alarms = [
        raised("gateway_down", "carrier-b") | {"do": "vosd gateway show NAME; the network, the vendor"},
        raised("loss_calls", "acme 4420 carrier-b"),
        raised("auth_lockout", "192.0.2.7"),
        raised("cpu_high", "<b>switch</b>", "percent: 99"),
        raised("memory_high", "machine"),
    ]
    viewer = visit("viewer", size=NARROW, language="zh")
    for visitor in (boss, viewer):
        visitor.page.route(
            re.compile(r"/api/v1/alarms\?"), lambda route: route.fulfill(json=made_page(route.request, alarms))
        )
    try:
        page = boss.go("/", "Overview")
        page.get_by_label("Alarms", exact=True).get_by_role("link", name="carrier-b", exact=True).click()
        page.get_by_role("heading", level=1, name="carrier-b").wait_for()
        page = boss.go("/alarms", "Alarms")
        table = page.get_by_label("Alarms", exact=True)
        for name, place in (
            ("carrier-b", "/gateways/carrier-b"),
            ("acme", "/accounts/acme"),
            ("192.0.2.7", "/lists/sources?source=192.0.2.7"),
        ):
            expect(table.get_by_role("link", name=name, exact=True)).to_have_attribute("href", place)
        expect(table).to_contain_text("<b>switch</b>")
        gateways = page.get_by_role("group", name="gateway_down").get_by_role("link", name="Gateways")
        expect(gateways).to_have_attribute("href", "/gateways")
        page.get_by_role("link", name="More about cpu_high").click()
        section = page.get_by_role("dialog", name="cpu_high")
        section.get_by_text("Plan for a faster core or a second switch").wait_for()
        expect(section.locator("ol > li")).to_have_count(4)
        expect(page).to_have_url(f"{boss.base}/alarms?about=cpu_high")
        assert violations(page) == []
        page.go_back()
        expect(section).to_have_count(0)
        page.go_forward()
        section.get_by_role("button", name="Close").click()
        expect(page).to_have_url(f"{boss.base}/alarms")
        page = viewer.go("/alarms?about=database_regressed", "告警")
        page.get_by_role("dialog").get_by_role("link", name="payments_lost").click()
        page.get_by_text("booked again").wait_for()
        fits_a_telephone(page)
        page = viewer.go("/alarms", "告警")
        expect(page.get_by_label("告警", exact=True).locator("tbody")).to_contain_text("本机")
    finally:
        boss.page.unroute_all()
        viewer.page.unroute_all()


def test_the_section_about_an_alarm_that_has_not_come_is_read_again(newcomer: Visit) -> None:
    page = newcomer().go("/alarms", "Alarms")
    page.route("**/assets/alarms-*", lambda route: route.abort())
    page.evaluate(GO, "/alarms?about=cpu_high")
    section = page.get_by_role("dialog", name="cpu_high")
    expect(section.get_by_role("alert")).to_contain_text("The switch does not answer")
    page.unroute_all()
    section.get_by_role("button", name="Try again").click()
    expect(section).to_contain_text("Plan for a faster core or a second switch")


def test_the_section_about_an_alarm_that_the_switch_does_not_have_any_more_loads_the_console_anew(
    newcomer: Visit,
) -> None:
    page = newcomer().go("/alarms", "Alarms")
    page.route("**/assets/alarms-*", lambda route: route.fulfill(status=404), times=3)
    page.evaluate(GO, "/alarms?about=cpu_high")
    section = page.get_by_role("dialog", name="cpu_high")
    expect(section).to_contain_text("Plan for a faster core or a second switch")


def test_those_who_may_only_look_are_offered_no_act(visit: Visit) -> None:
    visitor = visit("viewer", size=NARROW, language="zh")
    asked: list[str] = []
    visitor.page.on("request", lambda request: asked.append(request.url))
    page = visitor.go("/gateways/carrier-b", "carrier-b")
    for name in ("设置", "封锁到该时间", "立即呼叫"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    for path in ("/compare?one=carrier-b&two=carrier-c", "/reports?name=account-areas", "/gateways/carrier-b"):
        page = visitor.turn(path)
        page.get_by_role("heading", level=1).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0], path
    assert [each for each in asked if each.endswith("/reports?limit=1000")]
    assert not [each for each in asked if "-gateways?" in each], "the role does not see these reports"
