"""The page of a call: attempts, ladder, route, charges and their correction; the trace of the next one."""

import re
from decimal import Decimal

import pytest
from api.watched import Watched, refused_call
from e2e.conversation import conversing
from e2e.stage import Caller, Vendor
from playwright.sync_api import Page, Route, expect

from console.conftest import (
    NARROW,
    TIME_PASSES,
    WIDE,
    Visit,
    Visitor,
    english_in,
    lose_the_answer,
    route_once,
    violations,
)
from console.test_screens import rows


@pytest.fixture(scope="module")
def refused(site: Watched) -> str:
    """Return the id of a call that two vendors refused."""
    return str(refused_call(site)["call_id"])


@pytest.fixture(scope="module")
def answered(site: Watched) -> str:
    """Return the id of a call of SIPp that was charged."""
    return charged_call(site)


def charged_call(site: Watched) -> str:
    record = site.stage.call(Caller("hangs_up"), "4410", [Vendor("carrier-a", "answers")])
    return str(record["call_id"])


def test_a_refused_call_is_explained_attempt_by_attempt(boss: Visitor, refused: str) -> None:
    page = boss.go(f"/cdrs/{refused}", refused)
    page.get_by_text("Busy, 486: A gateway said that the called party is busy.").wait_for()
    attempts = page.get_by_role("list", name="Attempts").get_by_role("listitem")
    expect(attempts).to_have_count(2)
    expect(attempts.nth(0)).to_contain_text(re.compile("carrier-b 503 Unavailable at 0 ms, took [0-9]+ ms"))
    expect(attempts.nth(1)).to_contain_text("carrier-c 486 Busy")
    assert violations(page) == []


def test_a_call_that_the_switch_has_refused_says_what_was_full(site: Watched, boss: Visitor, answered: str) -> None:
    def full(route: Route) -> None:
        found = route.fetch()
        (call,) = found.json()["calls"]
        refused = {"headline": "Gateway Capacity, 503: it had all its calls.", "refusal": "acme-pbx has its 5 calls"}
        route.fulfill(response=found, json={**found.json(), "calls": [{**call, **refused, "todo": "raise it"}]})

    route_once(boss.page, "**/api/v1/calls/why?*", full)
    page = boss.go(f"/cdrs/{answered}", answered)
    said = page.get_by_text("Gateway Capacity, 503: it had all its calls.").locator("..")
    expect(said).to_contain_text("it had all its calls. acme-pbx has its 5 calls · raise it")


def test_the_route_of_then_stands_beside_that_of_now(boss: Visitor, site: Watched, refused: str) -> None:
    assert site.api.ask("POST", "/gateways/carrier-b/block", {}).status == 200
    page = boss.go(f"/cdrs/{refused}?tab=why", refused)
    expect(page.get_by_label("Candidates in their order").locator("tbody tr")).to_have_count(2)
    expect(page.get_by_label("Candidates of now in their order").locator("tbody tr")).to_have_count(1)
    assert rows(page, "Candidates in their order")[0].startswith("1 carrier-b tried: 503")
    assert rows(page, "Candidates of now in their order")[0].startswith("1 carrier-c")
    expect(page.get_by_role("region", name="As it would be now")).to_contain_text("carrier-b")
    assert violations(page) == []
    assert site.api.ask("DELETE", "/gateways/carrier-b/block").status == 200


def test_the_ladder_is_a_picture_and_each_message_opens(boss: Visitor, refused: str) -> None:
    page = boss.go(f"/cdrs/{refused}?tab=ladder", refused)
    rungs = page.get_by_role("region", name="Ladder").get_by_role("button")
    rungs.nth(9).wait_for()  # on a busy machine some are repeated
    refusal = rungs.filter(has_text=re.compile("carrier-b to switch: 503 .*INVITE")).first
    expect(refusal).to_have_attribute("aria-expanded", "false")
    refusal.focus()
    page.keyboard.press("Enter")
    page.get_by_text("SIP/2.0 503").wait_for()
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as capture").click()
    assert download.value.suggested_filename == f"{refused}.pcap"


def test_a_running_call_shows_its_messages_as_they_come(site: Watched, boss: Visitor) -> None:
    with conversing(site.stage, "4410") as (conversation,):
        conversation.establish()
        call_id = site.items("/calls")[0]["call_id"]
        asked = list[str]()
        boss.page.on("response", lambda response: asked.append(f"{response.status} {response.url}"))
        page = boss.go(f"/cdrs/{call_id}?tab=ladder", call_id)
        page.get_by_text("This call is running").wait_for()
        rungs = page.get_by_role("region", name="Ladder").get_by_role("button")
        rungs.nth(6).wait_for()
        for _ in range(3):
            with page.expect_response(re.compile(f"/calls/{call_id}/ladder")):
                pass
        assert [each for each in asked if each.startswith("404")] == [f"404 {boss.base}/api/v1/cdrs/{call_id}"]
        (look,) = site.items(f"/audit?subject={call_id}")
        assert look["action"] == "DrawRunningCall"
        conversation.hang_up()
        expect(page.get_by_text("This call is running")).to_have_count(0)
        page.get_by_text("The call is over; these messages were seen while it ran").wait_for()
        assert rungs.count() >= 7


def test_a_charge_is_corrected_in_two_steps_and_the_correction_is_taken_back(site: Watched, boss: Visitor) -> None:
    def balance() -> Decimal:
        return Decimal(site.api.ask("GET", "/accounts/acme/balance").json["balance"])

    call_id = charged_call(site)
    page = boss.go(f"/cdrs/{call_id}?tab=charges", call_id)
    assert (
        "0.60 USD a minute, prefix 44, group sell, in steps of 6 s" in page.get_by_label("Customer acme").inner_text()
    )
    page.get_by_label("Customer acme").get_by_text("Tax of 10 %").wait_for()
    before = balance()
    page.get_by_role("button", name="Correct the charges").click()
    asked = page.get_by_role("dialog")
    asked.get_by_role("group", name="customer acme").get_by_label("Fee").fill("0.05")
    asked.get_by_label("Reason").fill("complaint")
    asked.get_by_role("button", name="Check").click()
    expect(asked).to_contain_text("Book this correction?")
    found = asked.get_by_role("region", name="customer acme")
    expect(found).to_contain_text("0.06 → 0.05")
    expect(found).to_contain_text("0.01 USD")
    expect(asked.get_by_role("button", name="Cancel")).to_be_focused()
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    box = found.get_by_text("0.01 USD").bounding_box()
    assert box
    assert box["x"] + box["width"] <= NARROW[0]
    assert violations(page) == []
    page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    assert balance() == before
    route_once(page, f"**/cdrs/{call_id}/corrections", lose_the_answer)
    asked.get_by_role("button", name="Book it").click()
    expect(asked).to_contain_text("It may have been carried out all the same")
    asked.get_by_role("button", name="Book it").click()
    page.get_by_text(re.compile("Nothing was done now.*acme: fee 0.06 became 0.05; booked 0.01 USD")).wait_for()
    expect(page.get_by_label("Corrections of this call").locator("tbody tr")).to_have_count(1)
    assert balance() == before + Decimal("0.01")
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("acme: fee 0.05 became 0.06; booked -0.01 USD").wait_for()
    assert balance() == before

    page.get_by_role("button", name="Correct the charges").click()
    seconds = asked.get_by_role("group", name="customer acme").get_by_label("Billed s")
    entered = seconds.input_value()
    seconds.fill("6a")
    expect(seconds).to_have_value("6a")
    seconds.fill("60")
    asked.get_by_label("Reason").fill("complaint")
    asked.get_by_role("button", name="Check").click()
    expect(found).to_contain_text(f"{entered} → 60")
    asked.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    assert violations(page) == []


def test_charges_that_a_colleague_has_corrected_meanwhile_are_not_corrected_back(
    site: Watched, boss: Visitor, answered: str
) -> None:
    """The dialog has two steps: the colleague is between them, then before the first one, then before the dialog."""

    def charges() -> dict[str, str]:
        return {each["role"]: each["fee"] for each in site.items(f"/cdrs/{answered}/charges")}

    def correct_vendor(fee: str) -> None:
        asked = {"charges": [{"role": "vendor", "level": 0, "fee": fee}], "memo": "a colleague"}
        assert site.api.ask("POST", f"/cdrs/{answered}/corrections", asked).status == 201

    def enter() -> None:
        page.get_by_role("button", name="Correct the charges").click()
        asked.get_by_role("group", name="customer acme").get_by_label("Fee").fill("0.05")
        asked.get_by_label("Reason").fill("complaint")

    def leave() -> None:
        asked.get_by_role("button", name="Close").first.click()
        page.get_by_role("button", name="Leave").click()
        expect(asked).to_have_count(0)

    page = boss.go(f"/cdrs/{answered}?tab=charges", answered)
    asked = page.get_by_role("dialog")
    changed = asked.get_by_role("alert").filter(has_text="This is not as you have opened it any more")
    before = charges()
    vendor = page.locator(".beside > section").filter(has_text="Vendor")
    enter()
    asked.get_by_role("button", name="Check").click()
    expect(asked).to_contain_text("Book this correction?")
    correct_vendor("0.001")
    page.evaluate(TIME_PASSES)
    page.evaluate("dispatchEvent(new Event('visibilitychange'))")  # as the focus does: the page reads what holds
    expect(vendor).to_contain_text("0.001 USD")
    asked.get_by_role("button", name="Book it").click()
    changed.wait_for()
    assert charges() == before | {"vendor": "0.001"}
    leave()
    enter()
    correct_vendor(before["vendor"])
    asked.get_by_role("button", name="Check").click()
    changed.wait_for()
    expect(vendor).to_contain_text(f"{before['vendor']} USD")
    leave()
    assert charges() == before

    correct_vendor("0.002")
    enter()
    expect(asked.get_by_role("group", name="vendor").get_by_label("Fee")).to_have_value("0.002")
    asked.get_by_role("button", name="Check").click()
    expect(asked).to_contain_text("Book this correction?")
    leave()
    correct_vendor(before["vendor"])


def test_the_next_such_call_is_traced(site: Watched, boss: Visitor, refused: str) -> None:
    page = boss.go(f"/cdrs/{refused}", refused)
    page.get_by_role("link", name="Trace the next such call").click()
    page.get_by_text(re.compile("Waiting for calls.*; 0 so far")).wait_for()
    page.get_by_label("Called number begins with").fill("4420")
    page.get_by_role("button", name="Wait for calls").click()
    expect(page).to_have_url(re.compile("callee=4420$"))
    page.get_by_text(re.compile("Waiting for calls.*; 0 so far")).wait_for()
    call = refused_call(site)
    page.get_by_role("link", name=f"→ {call['callee_in']}").wait_for()
    # ten messages, and more where one was repeated on a busy machine
    page.get_by_role("region", name="Ladder").get_by_role("button").nth(9).wait_for()
    assert violations(page) == []
    page.go_back()
    page.get_by_text(re.compile("Waiting for calls.*; 0 so far")).wait_for()  # that call was of the other search
    expect(page.get_by_role("link", name=f"→ {call['callee_in']}")).to_have_count(0)


def test_a_customer_sees_its_charge_and_nothing_of_vendors(visit: Visit, refused: str, answered: str) -> None:
    visitor = visit("customer", "acme")
    page: Page = visitor.go(f"/cdrs/{answered}?tab=charges", answered)
    page.get_by_role("tab", name="Facts", selected=True).wait_for()
    page.get_by_text("0.06 USD").wait_for()
    expect(page.get_by_role("tab", name="Charges")).to_have_count(0)
    expect(page.get_by_role("button", name="Correct the charges")).to_have_count(0)
    for tab in ("charges", "facts", "why", "record"):
        text = visitor.go(f"/cdrs/{refused if tab == 'why' else answered}?tab={tab}").inner_text("body").lower()
        assert "carrier" not in text, tab
        assert "vendor" not in text, tab
        assert "trace" not in text, tab


def test_the_page_of_a_call_fits_a_telephone(visit: Visit, refused: str, answered: str) -> None:
    visitor = visit(size=NARROW, language="zh")
    for path in (f"/cdrs/{refused}?tab=ladder", f"/cdrs/{refused}?tab=why", f"/cdrs/{answered}?tab=charges", "/trace"):
        page = visitor.go(path)
        page.get_by_role("heading", level=1).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0], path
        assert not re.search(r"\b(call|step|ladder|trace|column|correction)\.\w+", page.inner_text("body")), path
        if "tab=why" in path:
            page.get_by_text("有网关表示被叫忙").wait_for()
            expect(page.get_by_text("ms 后 503").first).to_contain_text("已尝试")
            assert english_in(page) == []
