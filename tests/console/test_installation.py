"""Customers, agents, people, parameters and the installation in the console: acts, what they say, and their undo."""

import re
from decimal import Decimal
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
from api.watched import Watched, something_of_everything
from msgspec import UNSET
from playwright.sync_api import Locator, Page, Route, expect

from console.conftest import (
    GO,
    NARROW,
    PASSWORD,
    WIDE,
    Visit,
    Visitor,
    cut_cells,
    fits_a_telephone,
    is_in_memory,
    lose_the_answer,
    route_once,
    violations,
)
from console.made_answers import made_page, made_problem
from vosd.obs.events import Event

SCREENS: Final = {
    "/customers/new": "New customer",
    "/agents": "Agents",
    "/parameters": "Parameters",
    "/changes": "Configuration changes",
    "/health": "Health",
    "/lists/backups": "Backups",
    "/lists/scheduled": "Scheduled reports",
    "/lists/people": "People",
    "/lists/overrides": "Overrides",
    "/lists/roles": "Roles",
    "/lists/tokens": "Tokens",
    "/lists/jobs": "Jobs",
    "/lists/parameter_versions": "Changes of parameters",
    "/lists/blacklist": "Blacklist",
    "/lists/sources": "Blocked sources",
    "/objects/routing_plans": "Routing plans",
    "/trace": "Trace calls",
    "/compare?one=carrier-b&two=carrier-c": "Compare gateways",
}


APART: Final = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync("* { line-height: 1.5; letter-spacing: 0.12em; word-spacing: 0.16em }");
    document.adoptedStyleSheets = [sheet];
}"""
"""Set letters, words and lines as far apart as a page has to allow (WCAG 2.2, 1.4.12)."""


@pytest.fixture(scope="module", autouse=True)
def used(site: Watched) -> str:
    """Have calls, objects and people."""
    return something_of_everything(site)


def row(page: Page, text: str) -> Locator:
    return page.locator("main tbody tr", has_text=text)


def undo(page: Page) -> None:
    """Take the last act back and wait for it: what the page shows at once may be from before the act."""
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone").wait_for()


def done(page: Page, act: str, **fields: str) -> Locator:
    """Fill the dialog of an act, carry it out, and return the words about it."""
    asked = page.get_by_role("dialog")
    for name, value in fields.items():
        field = asked.get_by_label(name.replace("_", " "), exact=False).first
        if field.evaluate("each => each.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    asked.get_by_role("button", name=act, exact=True).click()
    return page.locator("main [role=status]").filter(has=page.get_by_role("button", name="Close"))


def test_the_screens_of_the_installation_have_nothing_against_them(visit: Visit) -> None:
    for path, page in visit().each(SCREENS):
        expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
        expect(page.get_by_role("alert").filter(has_text="Try again")).to_have_count(0)
        assert violations(page) == [], path
        fits_a_telephone(page)


def credited(page: Page, limit: str) -> Locator:
    """Give the account of the page an overdraft limit, in both steps, and return the words about it."""
    page.get_by_role("button", name="Credit").click()
    done(page, "Continue", Overdraft_limit=limit)
    return done(page, "Credit")


def test_a_customer_is_made_whole_after_a_trial(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/templates/retail", {"keys": {"overdraft_limit": "25"}})
    page = visit().go("/customers/new", "New customer")
    page.get_by_role("textbox", name="Name of the account").fill("bakery")
    page.get_by_role("combobox", name="template").first.fill("retail")
    page.get_by_role("combobox", name="rate_group", exact=True).first.fill("sell")
    page.get_by_role("button", name="Add a gateway").click()
    page.get_by_role("textbox", name="name", exact=True).last.fill("bakery-pbx")
    page.get_by_role("textbox", name="hosts").fill("no host")
    page.get_by_role("button", name="Add a phone").click()
    page.get_by_role("textbox", name="number", exact=True).fill("7401")
    page.locator("section", has=page.get_by_role("heading", name="2. Phone")).locator(
        "input[autocomplete=new-password]"
    ).first.fill("a-long-secret-1")
    page.get_by_label("First payment").fill("12.50")
    page.get_by_role("button", name="Check the change").click()
    expect(page.get_by_role("textbox", name="hosts")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("textbox", name="hosts").fill("192.0.2.210")
    page.get_by_role("button", name="Check the change").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("bakery-pbx (Mapping gateways) is made")
    expect(asked).to_contain_text("First payment: 12.50")
    assert site.api.ask("GET", "/accounts/bakery").status == 404
    route_once(page, "**/api/v1/customers", lose_the_answer)
    asked.get_by_role("button", name="Make the customer").dblclick()
    expect(asked.get_by_role("alert")).to_contain_text("The switch does not answer")
    asked.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Check the change")).to_be_focused()
    page.get_by_role("button", name="Check the change").click()  # no trial, which would find the account
    expect(asked).to_contain_text("It may have been carried out all the same")
    asked.get_by_role("button", name="Make the customer").click()
    page.get_by_text(re.compile("Nothing was done now.*The customer bakery is made")).wait_for()
    page.get_by_role("heading", level=1, name="bakery").wait_for()
    assert Decimal(site.api.ask("GET", "/accounts/bakery/balance").json["balance"]) == Decimal("12.5")

    page.get_by_text("Gateways", exact=True).last.click()
    page.get_by_label("Gateways", exact=True).get_by_role("link", name="bakery-pbx").wait_for()
    page.get_by_text("Phones", exact=True).last.click()
    page.get_by_label("Phones", exact=True).get_by_role("link", name="7401").wait_for()
    page.get_by_text("Prices of its calls now").click()
    expect(page.get_by_label("Prices of its calls now")).to_contain_text("0.60")

    page = visit().turn("/customers/new", "New customer")
    page.get_by_role("textbox", name="Name of the account").fill("florist")
    page.get_by_role("combobox", name="rate_group", exact=True).first.fill("sell")
    page.get_by_role("button", name="Check the change").click()
    asked.get_by_role("button", name="Make the customer").click()
    page.get_by_role("heading", level=1, name="florist").wait_for()
    undo(page)
    assert site.api.ask("GET", "/accounts/florist").status == 404


def test_an_account_that_has_got_money_since_is_ended_by_no_undo_and_no_question_of_before(
    site: Watched, visit: Visit
) -> None:
    def paid(amount: str) -> None:
        order = {"amount": amount, "type": "adjustment", "reference": f"kiosk {amount}"}
        assert site.api.ask("POST", "/accounts/kiosk/payments", order).status == 201

    page = visit().go("/customers/new", "New customer")
    asked, refused = page.get_by_role("dialog"), page.get_by_role("alert").filter(has_text="kiosk is not zero")
    page.get_by_role("textbox", name="Name of the account").fill("kiosk")
    page.get_by_role("combobox", name="rate_group", exact=True).first.fill("sell")
    page.get_by_role("button", name="Check the change").click()
    asked.get_by_role("button", name="Make the customer").click()
    page.get_by_role("heading", level=1, name="kiosk").wait_for()
    paid("10")
    page.get_by_role("button", name="Undo").click()
    refused.wait_for()
    assert site.api.ask("GET", "/accounts/kiosk").status == 200

    paid("-10")
    page = visit().go("/objects/accounts/kiosk", "kiosk")
    page.get_by_role("button", name="End it").click()
    asked.get_by_text("kiosk (Account settings) ends").wait_for()
    paid("7")
    asked.get_by_role("button", name="End it").click()
    refused.wait_for()
    assert site.api.ask("GET", "/accounts/kiosk").status == 200
    paid("-7")
    asked.get_by_role("button", name="End it").click()
    page.get_by_text("kiosk is ended").wait_for()


def test_names_and_meanings_of_parameters_are_read_whole_where_letters_stand_apart(visit: Visit) -> None:
    page = visit().go("/parameters", "Parameters")
    page.get_by_role("cell", name="IVR_RTP_PORT").wait_for()
    page.evaluate(APART)
    assert page.get_by_role("cell", name="Called numbers that cost the customer nothing").count() == 1
    assert cut_cells(page) == []
    page.set_viewport_size({"width": NARROW[0], "height": NARROW[1]})
    assert cut_cells(page) == []
    fits_a_telephone(page)


def test_two_people_who_end_one_object_see_that_it_has_ended(site: Watched, visit: Visit) -> None:
    assert site.api.ask("POST", "/number-lists", {"name": "both", "keys": {"patterns": ["441*"]}}).status == 201
    page = visit().go("/objects/number_lists/both", "both")
    page.get_by_role("button", name="End it").click()
    page.get_by_role("dialog").get_by_text("both (Number lists) ends").wait_for()
    assert site.api.ask("DELETE", "/number-lists/both?confirm=true").status == 200
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    page.get_by_role("dialog").get_by_role("alert").filter(has_text="does not exist").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_text("both is not defined now").wait_for()


def test_an_object_that_a_colleague_has_changed_during_its_trial_does_not_end(site: Watched, visit: Visit) -> None:
    """The page had read the version of the colleague before the answer to the trial came, and ended that one."""
    assert site.api.ask("POST", "/number-lists", {"name": "twice", "keys": {"patterns": ["442*"]}}).status == 201
    page, held = visit().go("/objects/number_lists/twice", "twice"), list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/number-lists/twice?dry_run=true", hold)
    with page.expect_request("**/number-lists/twice?dry_run=true"):
        page.get_by_role("button", name="End it").click()
    page.evaluate("() => { const now = Date.now; Date.now = () => now() + 60_000 }")  # what was read is old by then
    found = held[0].fetch()
    assert site.api.ask("PUT", "/number-lists/twice", {"keys": {"patterns": ["443*"]}}).status == 200
    page.evaluate("() => ['offline', 'online'].forEach(each => window.dispatchEvent(new Event(each)))")
    expect(page.get_by_role("textbox", name="patterns")).to_have_value("443*")
    held[0].fulfill(response=found)
    asked = page.get_by_role("dialog")
    asked.get_by_text("twice (Number lists) ends").wait_for()
    asked.get_by_role("button", name="End it").click()
    asked.get_by_role("alert").wait_for()
    assert site.api.ask("GET", "/number-lists/twice").status == 200


def test_a_person_that_a_colleague_has_reset_meanwhile_is_not_reset_again(site: Watched, visit: Visit) -> None:
    link = site.daemon.ask("user", "add", "twice", "--role", "viewer")["link"].rpartition("/")[2]
    assert site.api.ask("POST", "/session/link", {"link": link, "password": PASSWORD}, token=None).status == 200
    page = visit().go("/lists/people", "People")
    row(page, "twice").get_by_role("button", name="Reset").click()
    page.get_by_role("dialog").wait_for()
    theirs = site.api.ask("POST", "/people/twice/reset").json["link"].rpartition("/")[2]
    page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    page.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    assert site.api.ask("POST", "/session/link", {"link": theirs, "password": PASSWORD}, token=None).status == 200


def test_money_is_moved_and_credit_given_and_both_are_undone(site: Watched, visit: Visit) -> None:
    def balance(account: str) -> Decimal:
        return Decimal(site.api.ask("GET", f"/accounts/{account}/balance").json["balance"])

    before = balance("acme"), balance("other")
    visitor = visit()
    page = visitor.go("/accounts/acme", "acme")
    page.get_by_role("button", name="Transfer").click()
    done(page, "Continue", To_the_account="other", Amount="3.25")
    asked = page.get_by_role("dialog", name="Move 3.25 USD from acme to other?")
    asked.get_by_role("button", name="Cancel").click()
    expect(page.get_by_label("Amount")).to_have_value("3.25")
    done(page, "Continue")
    assert balance("acme") == before[0]
    asked.get_by_role("button", name="Transfer").dblclick()
    page.get_by_text("3.25 USD moved to other").wait_for()
    expect(page.get_by_role("button", name="Transfer")).to_be_focused()
    assert (balance("acme"), balance("other")) == (before[0] - Decimal("3.25"), before[1] + Decimal("3.25"))
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("acme: booked 3.25 USD").wait_for()
    assert (balance("acme"), balance("other")) == before
    page = visitor.turn("/accounts/rival", "rival")
    expect(credited(page, "77")).to_contain_text("The overdraft limit is 77")
    expect(page.locator("dl.facts").first).to_contain_text("77")
    expect(credited(page, "99")).to_contain_text("The overdraft limit is 99")
    undo(page)
    assert [each["value"] for each in site.items("/overrides?name=rival")] == ["77.00"], "the one before holds again"
    expect(page.locator("dl.facts").first).to_contain_text("77")
    expect(credited(page, "99")).to_contain_text("The overdraft limit is 99")
    assert site.api.ask("POST", "/accounts/rival/overrides", {"overdraft_limit": "66"}).status == 200
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("alert").filter(has_text="Another person has changed this since").wait_for()
    assert [each["value"] for each in site.items("/overrides?name=rival")] == ["66.00"]
    assert site.daemon.succeed("overrides", "clear", "rival")


def test_agents_are_a_tree(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/agents", "Agents")
    reseller = page.get_by_role("row", name="Accounts below reseller")
    expect(reseller).to_contain_text("1 directly below, 1 in all")
    expect(reseller.locator("xpath=following-sibling::tr[1]").get_by_role("link")).to_have_text("acme")
    expect(page.get_by_role("link", name="vendors", exact=True)).to_have_count(0)
    page.get_by_label("All accounts").check(force=True)
    page.get_by_role("link", name="vendors", exact=True).wait_for()
    page.get_by_role("button", name="Accounts below reseller").click()
    expect(page.get_by_role("link", name="acme")).to_have_count(0)
    visitor.go("/agents?" + page.url.partition("?")[2])
    page.get_by_role("link", name="vendors", exact=True).wait_for()
    expect(page.get_by_role("link", name="acme")).to_have_count(0)


def test_of_ten_thousand_accounts_below_an_agent_those_are_drawn_that_are_seen(visit: Visit) -> None:
    visitor = visit()

    def below_one(route: Route) -> None:
        asked = parse_qs(urlsplit(route.request.url).query)
        first = int(asked.get("cursor", ["0"])[0])
        money = {"balance": "1.00", "currency": "USD", "blocked": False}
        rows = [
            {"id": f"below-{first + number}", "agent": "chief", **money} for number in range(int(asked["limit"][0]))
        ]
        if first == 0:
            rows[0] = {"id": "chief", "agent": UNSET, **money}
        after = first + len(rows)
        route.fulfill(json=made_page(route.request, rows, str(after) if after < 10_000 else None))

    visitor.page.route("**/api/v1/balances?*", below_one)
    page = visitor.go("/agents", "Agents")
    page.get_by_role("button", name="Accounts below chief").click()
    page.get_by_role("link", name="below-1", exact=True).wait_for()
    assert page.get_by_role("link", name=re.compile("^below-")).count() < 200
    page.get_by_role("link", name="below-1", exact=True).press("End")
    page.get_by_role("link", name="below-9999", exact=True).wait_for()
    visitor.page.unroute("**/api/v1/balances?*")


def test_a_person_is_added_by_a_link_and_taken_out_again(site: Watched, visit: Visit) -> None:
    visitor = visit()
    page = visitor.page

    def come_late(route: Route) -> None:
        page.get_by_role("dialog").wait_for()
        route.continue_()

    route_once(page, "**/api/v1/roles?*", come_late)
    visitor.go("/lists/people", "People")
    page.get_by_role("button", name="Add a person").click()
    done(page, "Add a person", Name="carol", Role="viewer")
    secret = page.get_by_role("dialog", name="Shown this once")
    link = secret.locator("pre").inner_text()
    assert link.startswith(f"{visitor.base}/#/first-login/")
    page.mouse.click(5, 5)  # beside it, where a dialog that may be asked for again would close
    page.context.grant_permissions(["clipboard-write"])
    secret.get_by_role("button", name="Copy").click()
    expect(secret.get_by_role("status")).to_have_text("Copied")
    page.context.clear_permissions()
    secret.get_by_role("button", name="Copy").click()
    expect(secret.get_by_role("status")).to_contain_text("The browser does not let it be copied")
    assert secret.locator("pre").inner_text() == link
    secret.get_by_role("button", name="Close").last.click()
    page.get_by_text("carol may log in with the link").wait_for()
    expect(page.get_by_role("button", name="Add a person")).to_be_focused()
    assert link not in page.content()
    row(page, "carol").get_by_role("button", name="Role").click()
    expect(done(page, "Role", Role="finance")).to_contain_text("carol has the role finance")
    expect(row(page, "carol")).to_contain_text("Finance")
    undo(page)
    expect(row(page, "carol")).to_contain_text("Viewer")
    row(page, "carol").get_by_role("button", name="Disable").click()
    expect(done(page, "Disable")).to_contain_text("carol cannot log in any more")
    row(page, "carol").get_by_role("button", name="Enable").wait_for()
    reply = site.api.ask("POST", "/session/link", {"link": link.rpartition("/")[2], "password": PASSWORD}, token=None)
    assert reply.status != 200


def test_a_link_that_is_shown_once_stays_where_the_rights_cannot_be_read_again(newcomer: Visit) -> None:
    visitor = newcomer()
    page, refused = visitor.page, list[str]()
    refusal = made_problem(HTTPStatus.TOO_MANY_REQUESTS, "too_many_requests", "too many requests")

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=429, json=refusal)

    visitor.go("/lists/people", "People")
    page.route("**/api/v1/me", refuse)
    page.get_by_role("button", name="Add a person").click()
    with page.expect_response("**/api/v1/me"):
        done(page, "Add a person", Name="edna", Role="viewer")
    secret = page.get_by_role("dialog", name="Shown this once")
    expect(secret.locator("pre")).to_contain_text("/#/first-login/")
    page.wait_for_load_state("networkidle")
    expect(secret.locator("pre")).to_contain_text("/#/first-login/")
    assert refused


def test_roles_tokens_and_their_ends(site: Watched, visit: Visit) -> None:
    visitor = visit()
    reseller = {"permissions": ["money.see"], "acts_for": "agent", "wants_totp": False}
    assert site.api.ask("PUT", "/roles/reseller", reseller).status == 200
    page = visitor.go("/lists/roles", "Roles")
    page.get_by_role("button", name="New role").click()
    asked = page.get_by_role("dialog")
    asked.get_by_label("Name").fill("cashier")
    asked.get_by_role("combobox", name="Permissions").fill("money.see")
    page.get_by_role("option", name="money.see").click()
    page.keyboard.press("Escape")
    expect(done(page, "New role")).to_contain_text("The role cashier is made")
    assert [each["permissions"] for each in site.items("/roles?name=cashier")] == [["money.see"]]
    expect(row(page, "administrator").get_by_role("button", name="Change")).to_have_count(0)
    row(page, "reseller").get_by_role("button", name="Remove").click()
    expect(done(page, "Remove")).to_contain_text("The role reseller is removed")
    undo(page)
    row(page, "reseller").wait_for()
    (again,) = site.items("/roles?name=reseller")
    assert {name: again[name] for name in reseller} == reseller

    page = visitor.turn("/lists/tokens", "Tokens")
    page.get_by_role("button", name="Make a token").click()
    done(page, "Make a token", Name="crm", Role="cashier", Networks="192.0.2.0/24")
    secret = page.get_by_role("dialog", name="Shown this once")
    token = secret.locator("pre").inner_text()
    assert token.startswith("vosd_")
    assert is_in_memory(page, token)
    secret.get_by_role("button", name="Close").last.click()
    expect(secret).to_have_count(0)
    assert not is_in_memory(page, token)
    row(page, "crm").get_by_role("button", name="Revoke").click()
    expect(done(page, "Revoke")).to_contain_text("The token crm is revoked")
    expect(row(page, "crm")).to_have_count(0)
    page.wait_for_function("() => document.activeElement.closest('.table-frame')")  # the keyboard goes on where it was


def test_a_token_whose_answer_was_lost_is_not_made_twice(site: Watched, visit: Visit) -> None:
    page = visit().go("/lists/tokens", "Tokens")
    route_once(page, "**/api/v1/tokens", lose_the_answer)
    page.get_by_role("button", name="Make a token").click()
    done(page, "Make a token", Name="robot", Role="viewer")
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("It may have been carried out all the same")
    done(page, "Make a token")
    expect(asked.get_by_role("alert")).to_contain_text("its secret was shown once and is not kept")
    asked.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    row(page, "robot").get_by_role("button", name="Revoke").click()
    done(page, "Revoke")
    expect(row(page, "robot")).to_have_count(0)


def check_the_keyboard_stays(page: Page, opener: Locator, act: str, path: str) -> None:
    """Order by the keyboard in a dialog, and expect the focus in it while that is at work, and behind its failure."""
    opener.press("Enter")
    asked, keys = page.get_by_role("dialog"), page.keyboard
    button, cancel = asked.get_by_role("button", name=act, exact=True), asked.get_by_role("button", name="Cancel")
    expect(cancel).to_be_focused()
    keys.press("Tab")
    expect(button).to_be_focused()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(path, hold)
    with page.expect_request(path):
        keys.press("Enter")
    expect(button).to_be_disabled()
    keys.press("Enter")  # once more, while it is at work
    expect(button).to_be_focused()
    keys.press("Tab")
    expect(asked.get_by_role("button", name="Close")).to_be_focused()
    keys.press("Shift+Tab")
    expect(button).to_be_focused()
    held[0].abort()
    asked.get_by_role("alert").wait_for()
    expect(button).to_be_focused()
    keys.press("Shift+Tab")
    expect(cancel).to_be_focused()
    keys.press("Enter")
    expect(asked).to_have_count(0)
    expect(opener).to_be_focused()
    assert len(held) == 1
    page.unroute(path)


def test_the_keyboard_stays_in_a_dialog_while_its_order_is_at_work_and_behind_its_failure(
    site: Watched, visit: Visit
) -> None:
    visitor = visit()
    page = visitor.go("/payments?tab=transfer", "Payments")
    for field, value in (("From account", "rival"), ("To account", "other"), ("Amount", "1")):
        page.get_by_label(field).fill(value)
    check_the_keyboard_stays(
        page, page.get_by_role("button", name="Transfer", exact=True), "Transfer", "**/api/v1/transfers"
    )
    for field in ("From account", "To account", "Amount"):
        page.get_by_label(field).fill("")
    assert site.api.ask("PUT", "/roles/leaver", {"permissions": ["money.see"]}).status == 200
    page = visitor.turn("/lists/roles", "Roles")
    remove = row(page, "leaver").get_by_role("button", name="Remove")
    check_the_keyboard_stays(page, remove, "Remove", "**/api/v1/roles/leaver")
    assert site.api.ask("DELETE", "/roles/leaver").status == 200


def test_a_limit_whose_answer_was_lost_is_ordered_again_and_an_undo_that_was_lost_is_no_change_of_another_person(
    site: Watched, visit: Visit
) -> None:
    visitor = visit()
    page = visitor.go("/accounts/rival", "rival")
    page.reload()  # what was read in a test before is not shown
    route_once(page, "**/api/v1/accounts/rival/overrides", lose_the_answer)
    credited(page, "55")
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("It may have been carried out all the same")
    expect(page.locator("dl.facts").first).to_contain_text("55")
    done(page, "Continue")
    done(page, "Credit")
    said = page.get_by_role("status").filter(has_text=re.compile("Nothing was done now.*The overdraft limit is 55"))
    said.wait_for()
    expect(said.get_by_role("button", name="Undo")).to_have_count(1)  # the page has shown what was before

    assert site.api.ask("PUT", "/roles/guest", {"permissions": ["money.see"]}).status == 200
    page = visitor.turn("/lists/roles", "Roles")
    row(page, "guest").get_by_role("button", name="Remove").click()
    expect(done(page, "Remove")).to_contain_text("The role guest is removed")
    route_once(page, "**/api/v1/roles/guest", lose_the_answer)
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("It may have been undone all the same").wait_for()
    row(page, "guest").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("alert").filter(has_text="This may have been undone before").wait_for()
    assert site.daemon.succeed("overrides", "clear", "rival")


def test_a_repeat_is_not_taken_back_over_what_a_colleague_may_have_changed_since(site: Watched, visit: Visit) -> None:
    assert site.api.ask("PUT", "/roles/brief", {"permissions": ["money.see"]}).status == 200
    page = visit().go("/lists/roles", "Roles")
    row(page, "brief").get_by_role("button", name="Remove").click()
    route_once(page, "**/api/v1/roles/brief", lose_the_answer)
    done(page, "Remove")
    expect(page.get_by_role("dialog")).to_contain_text("It may have been carried out all the same")
    done(page, "Remove")
    said = page.get_by_role("status").filter(has_text=re.compile("Nothing was done now.*The role brief is removed"))
    said.wait_for()
    expect(said.get_by_role("button", name="Undo")).to_have_count(0)


def test_an_order_that_did_not_come_is_not_repeated_over_what_a_colleague_has_set_meanwhile(
    site: Watched, visit: Visit
) -> None:
    page = visit().go("/accounts/rival", "rival")
    page.reload()  # what was read in a test before is not shown
    route_once(page, "**/api/v1/accounts/rival/overrides", lambda route: route.abort())
    credited(page, "55")
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("It may have been carried out all the same")
    assert site.api.ask("POST", "/accounts/rival/overrides", {"overdraft_limit": "100"}).status == 200
    done(page, "Continue")
    done(page, "Credit")
    expect(asked.get_by_role("alert")).to_contain_text("This is not as you have opened it any more")
    assert Decimal(site.api.ask("GET", "/accounts/rival/balance").json["overdraft_limit"]) == 100
    assert site.daemon.succeed("overrides", "clear", "rival")


def test_a_limit_that_a_colleague_has_set_anew_with_a_reason_is_not_replaced_unseen(
    site: Watched, visit: Visit
) -> None:
    assert site.api.ask("POST", "/accounts/rival/overrides", {"overdraft_limit": "40"}).status == 200
    page = visit().go("/accounts/rival", "rival")
    page.reload()  # what was read in a test before is not shown
    page.get_by_role("button", name="Credit").click()
    held = {"overdraft_limit": "40", "memo": "not to be raised"}
    assert site.api.ask("POST", "/accounts/rival/overrides", held).status == 200
    done(page, "Continue", Overdraft_limit="400")
    done(page, "Credit")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("not as you have opened it any more")
    assert [(each["value"], each["memo"]) for each in site.items("/overrides?name=rival")] == [
        ("40.00", "not to be raised")
    ]
    assert site.daemon.succeed("overrides", "clear", "rival")


def test_a_limit_is_set_only_where_the_page_has_read_what_it_replaces(site: Watched, newcomer: Visit) -> None:
    override = {"overdraft_limit": "40", "memo": "not to be raised"}
    assert site.api.ask("POST", "/accounts/rival/overrides", override).status == 200
    visitor, held = newcomer(), list[Route]()
    route_once(visitor.page, "**/api/v1/overrides?name=rival", held.append)
    page = visitor.go("/accounts/rival", "rival")
    expect(page.locator("dl.facts").first).to_contain_text("40.00")
    credit = page.get_by_role("button", name="Credit")
    expect(credit).to_be_disabled()
    (late,) = held
    late.continue_()
    expect(credit).to_be_enabled()
    assert site.daemon.succeed("overrides", "clear", "rival")


def test_a_limit_that_a_colleague_has_set_and_the_page_has_read_since_is_replaced(
    site: Watched, newcomer: Visit
) -> None:
    visitor = newcomer()
    visitor.page.clock.install()
    page = visitor.go("/accounts/rival", "rival")
    expect(page.get_by_role("button", name="Credit")).to_be_enabled()
    assert site.api.ask("POST", "/accounts/rival/overrides", {"overdraft_limit": "40"}).status == 200
    page.clock.run_for(31_000)  # the page reads its figures again, and shows the new limit
    expect(page.locator("main")).to_contain_text("40.00")
    expect(credited(page, "60")).to_contain_text("The overdraft limit is 60")
    assert [each["value"] for each in site.items("/overrides?name=rival")] == ["60.00"]
    assert site.daemon.succeed("overrides", "clear", "rival")


def test_an_undo_that_is_refused_behind_a_lost_answer_says_why(site: Watched, visit: Visit) -> None:
    assert site.api.ask("PUT", "/roles/passing", {"permissions": ["money.see"]}).status == 200
    page = visit().go("/lists/roles", "Roles")
    row(page, "passing").get_by_role("button", name="Remove").click()
    expect(done(page, "Remove")).to_contain_text("The role passing is removed")
    route_once(page, "**/api/v1/roles/passing", lambda route: route.abort())
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("It may have been undone all the same").wait_for()
    refusal = made_problem(HTTPStatus.FORBIDDEN, "permission_lacking", "you lack roles.change")
    route_once(page, "**/api/v1/roles/passing", lambda route: route.fulfill(status=403, json=refusal))
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("alert").filter(has_text="you lack roles.change").wait_for()
    expect(page.get_by_text("This may have been undone before")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    row(page, "passing").wait_for()
    assert site.api.ask("DELETE", "/roles/passing").status == 200


def test_parameters_are_set_in_words_undone_and_have_versions(site: Watched, visit: Visit) -> None:
    page = visit().go("/parameters?q=SS_BILLINGUNIT", "Parameters")
    expect(row(page, "SS_BILLINGUNIT")).to_contain_text("default")
    row(page, "SS_BILLINGUNIT").get_by_role("button", name="Set").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("a whole number of seconds from 1 to 3600; default: 1")
    asked.get_by_label("Value").fill("0")
    asked.get_by_role("button", name="Set").click()
    expect(asked).to_contain_text("expected a whole number of seconds")
    expect(done(page, "Set", Value="6")).to_contain_text("SS_BILLINGUNIT is 6")
    expect(row(page, "SS_BILLINGUNIT")).to_contain_text("database, version 1")
    row(page, "SS_BILLINGUNIT").get_by_role("button", name="Versions").click()
    expect(page.get_by_role("dialog")).to_contain_text("value: set to 6")
    link = page.url
    page.keyboard.press("Escape")
    undo(page)
    row(page, "SS_BILLINGUNIT").get_by_role("cell", name="default", exact=True).wait_for()
    parameters = {each["name"]: each for each in site.items("/parameters?limit=1000")}
    assert parameters["SS_BILLINGUNIT"]["source"] == "default"
    page.goto(link)
    expect(page.get_by_role("dialog", name="SS_BILLINGUNIT")).to_contain_text("value: set to 6")
    page = visit().go("/lists/parameter_versions?name=SS_BILLINGUNIT", "Changes of parameters")
    made = page.locator("main tbody tr")
    expect(made).to_contain_text(["value: taken away; it was 6", "value: set to 6"])


def test_changes_of_parameters_show_long_values_to_their_end(site: Watched, visit: Visit) -> None:
    """An entry that is added to a list of numbers stands at its end."""
    name = "SERVER_BILLING_FREE_E164S"
    numbers = ",".join(map(str, range(442_000, 442_030)))
    assert site.api.ask("PUT", f"/parameters/{name}?confirm=true", {"value": numbers}).status == 200
    page = visit().go(f"/lists/parameter_versions?name={name}", "Changes of parameters")
    cell = page.locator("main tbody td", has_text=numbers)
    assert cell.evaluate("each => each.scrollWidth - each.clientWidth") == 0
    assert site.api.ask("DELETE", f"/parameters/{name}?confirm=true").status == 200


def test_what_a_colleague_has_changed_meanwhile_is_not_put_back_by_a_dialog_that_was_open(
    site: Watched, visit: Visit
) -> None:
    visitor = visit()

    def permissions() -> list[str]:
        (clerk,) = site.items("/roles?name=clerk")
        return list(clerk["permissions"])

    def choose_permission() -> None:
        asked.get_by_role("combobox", name="Permissions").fill("money.see")
        page.get_by_role("option", name="money.see").click()
        page.keyboard.press("Escape")

    both = {"permissions": ["accounts.see", "money.book"]}
    assert site.api.ask("PUT", "/roles/clerk", both).status == 200
    page = visitor.go("/lists/roles", "Roles")
    asked = page.get_by_role("dialog")
    row(page, "clerk").get_by_role("button", name="Change").click()
    choose_permission()
    assert site.api.ask("PUT", "/roles/clerk", {"permissions": ["accounts.see"]}).status == 200
    done(page, "Change")
    asked.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    assert permissions() == ["accounts.see"]
    asked.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    expect(row(page, "clerk")).not_to_contain_text("Book")

    row(page, "clerk").get_by_role("button", name="Remove").click()
    asked.get_by_role("button", name="Cancel").wait_for()
    assert site.api.ask("PUT", "/roles/clerk", both).status == 200
    done(page, "Remove")
    asked.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    assert permissions() == both["permissions"]
    asked.get_by_role("button", name="Cancel").click()

    page.get_by_role("button", name="New role").click()
    choose_permission()
    done(page, "New role", Name="clerk")
    expect(asked).to_contain_text("There is a role of this name")
    assert permissions() == both["permissions"]
    asked.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()

    assert site.api.ask("POST", "/people", {"name": "dora", "role": "viewer"}).status == 201
    page = visitor.go("/lists/people", "People")
    row(page, "dora").get_by_role("button", name="Role").click()
    asked.get_by_label("Role").select_option("finance")
    assert site.api.ask("PUT", "/people/dora/role", {"role": "night"}).status == 200
    done(page, "Role")
    asked.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    assert site.api.ask("GET", "/people/dora").json["role"] == "night"


def test_a_limit_that_a_colleague_has_set_meanwhile_is_not_overwritten(site: Watched, visit: Visit) -> None:
    page = visit().go("/accounts/rival", "rival")
    asked = page.get_by_role("dialog")
    page.get_by_role("button", name="Credit").click()
    asked.get_by_label("Memo").fill("longer")
    fraud = {"overdraft_limit": "5", "memo": "fraud"}
    assert site.api.ask("POST", "/accounts/rival/overrides", fraud).status == 200
    done(page, "Continue")
    done(page, "Credit")
    asked.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    assert [each["memo"] for each in site.items("/overrides?name=rival")] == ["fraud"]
    asked.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Leave").click()
    expect(asked).to_have_count(0)
    assert site.daemon.succeed("overrides", "clear", "rival")


def test_a_person_that_a_colleague_has_disabled_is_not_enabled_by_an_undo(site: Watched, visit: Visit) -> None:
    def disabled() -> bool:
        return bool(site.api.ask("GET", "/people/fred").json["state"] == "disabled")

    assert site.api.ask("POST", "/people", {"name": "fred", "role": "viewer"}).status == 201
    page = visit().go("/lists/people", "People")
    asked = page.get_by_role("dialog")
    row(page, "fred").get_by_role("button", name="Disable").click()
    asked.wait_for()
    assert site.api.ask("POST", "/people/fred/disable").status == 200
    done(page, "Disable")
    asked.get_by_role("alert").filter(has_text="This is not as you have opened it any more").wait_for()
    asked.get_by_role("button", name="Cancel").click()
    expect(page.locator("main [role=status]").filter(has_text="fred")).to_have_count(0)
    row(page, "fred").get_by_role("button", name="Enable").click()
    said = done(page, "Enable").filter(has_text="fred")  # the page may show what an earlier test did
    said.get_by_role("button", name="Undo").wait_for()
    assert not disabled()
    assert site.api.ask("POST", "/people/fred/disable").status == 200
    said.get_by_role("button", name="Undo").click()
    page.get_by_role("alert").filter(has_text="Another person has changed this since").wait_for()
    assert disabled()


def test_a_parameter_that_is_set_to_the_value_that_it_has_offers_no_undo(site: Watched, visit: Visit) -> None:
    name = "SS_GATEWAY_SWITCH_STOP_AFTER_USER_BUSY"
    assert site.api.ask("PUT", f"/parameters/{name}?confirm=true", {"value": "On"}).status == 200
    page = visit().go(f"/parameters?q={name}", "Parameters")
    row(page, name).get_by_role("button", name="Default").wait_for()  # the value from the database is read
    row(page, name).get_by_role("button", name="Set").click()
    said = done(page, "Set", Value="On")
    expect(said).to_contain_text(f"{name} (Parameters) stays as it is")
    expect(said.get_by_role("button", name="Undo")).to_have_count(0)
    assert site.api.ask("DELETE", f"/parameters/{name}?confirm=true").status == 200


def test_a_parameter_that_a_colleague_has_set_meanwhile_is_not_overwritten(site: Watched, visit: Visit) -> None:
    name = "SS_GATEWAY_SWITCH_UNTIL_CONNECT"
    page = visit().go(f"/parameters?q={name}", "Parameters")
    row(page, name).get_by_role("button", name="Set").click()
    asked = page.get_by_role("dialog")
    asked.get_by_label("Value").fill("Off")
    assert site.api.ask("PUT", f"/parameters/{name}?confirm=true", {"value": "On"}).status == 200
    done(page, "Set")
    asked.get_by_role("alert").filter(has_text="has version 1 by now").wait_for()
    expect(row(page, name)).to_contain_text("database, version 1")
    assert [each["version"] for each in site.items(f"/parameters/{name}/versions")] == [1]
    assert site.api.ask("DELETE", f"/parameters/{name}?confirm=true").status == 200


def test_a_dialog_that_is_opened_right_behind_an_order_has_what_that_has_left(site: Watched, newcomer: Visit) -> None:
    name, held = "SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START", list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    def set_and_open_again(value: str) -> None:
        """Set the parameter, and ask for its dialog while the page still shows the value of before."""
        route_once(page, "**/api/v1/parameters?*", hold)
        with page.expect_request("**/api/v1/parameters?*"):
            expect(done(page, "Set", Value=value)).to_contain_text(f"{name} is {value}")
            opener.click()
        expect(opener).to_be_disabled()

    page = newcomer().go(f"/parameters?q={name}", "Parameters")
    asked, opener = page.get_by_role("dialog"), row(page, name).get_by_role("button", name="Set")
    opener.click()
    set_and_open_again("On")
    expect(opener).to_be_focused()
    expect(asked).to_have_count(0)
    held[0].continue_()
    expect(asked.get_by_label("Value")).to_have_value("On")
    page.clock.install()
    set_and_open_again("Off")
    page.clock.run_for(10_000)  # it waits no longer for a list that does not come
    expect(asked.get_by_label("Value")).to_have_value("On")
    done(page, "Set")
    asked.get_by_role("alert").filter(has_text="has version 2 by now").wait_for()
    held[1].continue_()
    assert site.api.ask("DELETE", f"/parameters/{name}?confirm=true").status == 200


def test_who_logs_in_after_an_ended_session_sees_nothing_of_it(site: Watched, newcomer: Visit) -> None:
    customer = newcomer("customer", "acme").go("/").get_by_role("button", name=re.compile("^p")).inner_text()
    page = newcomer("finance").go("/accounts/rival", "rival")
    expect(credited(page, "55")).to_contain_text("The overdraft limit is 55")
    site.daemon.succeed("user", "disable", page.get_by_role("button", name=re.compile("^p")).inner_text())
    page.evaluate(GO, "/accounts")
    page.get_by_role("heading", level=1, name="Log in").wait_for()
    page.get_by_label("Name").fill(customer)
    page.locator("input[autocomplete=current-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=customer).wait_for()
    page.evaluate(GO, "/accounts/rival")
    page.get_by_role("alert").first.wait_for()
    assert "The overdraft limit is 55" not in page.inner_text("body")
    assert page.locator("dl.facts").count() == 0
    assert site.daemon.succeed("overrides", "clear", "rival")


def test_changes_of_the_configuration_are_listed_with_what_they_changed(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/accounts/changed", {"keys": {"currency": "USD"}, "memo": "ticket 5"})
    site.api.ask("PATCH", "/accounts/changed", {"keys": {"max_cps": "4"}})
    page = visit().go("/changes", "Configuration changes")
    line = page.locator("ol.changes > li", has_text="Means: token Account settings: changed").first
    line.get_by_role("button", name="What changed").click()
    expect(line).to_contain_text("max_cps: set to 4")
    line.get_by_role("link", name=re.compile("version 2")).click()
    expect(page.locator("ol.versions > li")).to_have_count(2)


def test_an_import_of_a_sheet_is_listed_with_its_objects(site: Watched, visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_text("Client,Currency\nimported,USD\n")
    (tmp_path / "map.yaml").write_text("accounts: {columns: {id: Client, currency: Currency}}\n")
    words = ("import", str(tmp_path / "sheet.csv"), "--map", str(tmp_path / "map.yaml"))
    assert site.daemon.succeed("definitions", *words)
    page = visit().go("/changes", "Configuration changes")
    line = page.locator("ol.changes > li", has_text="sheet.csv").first
    line.get_by_role("button", name="What changed").click()
    expect(line).to_contain_text("currency: set to USD")


def test_a_withdrawn_change_is_listed_with_its_objects_and_the_reasons(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/accounts/withdrawn", {"keys": {"currency": "USD"}})
    site.api.ask("PATCH", "/accounts/withdrawn", {"keys": {"max_cps": "4"}})
    visitor = visit()

    def withdrawn(route: Route) -> None:
        (change, *_) = site.items("/audit?action=SetObjects")
        detail = {"versions": ["accounts withdrawn 2"], "at": None, "memo": "a memo", "why": ["expected another one"]}
        line = change | {"id": 999_999, "action": "WithdrawChange", "subject": "accounts withdrawn", "detail": detail}
        route.fulfill(json={"items": [line], "next": None})

    visitor.page.route("**/api/v1/audit?action=WithdrawChange&*", withdrawn)
    page = visitor.go("/changes", "Configuration changes")
    line = page.locator("ol.changes > li", has_text="Withdrawn: the running switch did not take the change before")
    line.get_by_role("button", name="What changed").click()
    expect(line).to_contain_text("expected another one")
    expect(line).to_contain_text("max_cps: set to 4")
    expect(line).not_to_contain_text("a memo")
    visitor.page.unroute("**/api/v1/audit?action=WithdrawChange&*")


def test_what_is_planned_stands_before_the_changes_and_is_called_off(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/accounts/planned", {"keys": {"currency": "USD"}})
    planned = {"keys": {"max_cps": "4"}, "memo": "ticket 6", "at": "2099-01-01T00:00:00Z"}
    site.api.ask("PATCH", "/accounts/planned", planned)
    page = visit().go("/changes", "Configuration changes")
    line = page.get_by_role("region", name="Planned").get_by_role("listitem").filter(has_text="ticket 6")
    expect(line).to_contain_text("planned, version 2")
    expect(line).to_contain_text("max_cps: set to 4")
    line.get_by_role("button", name="Call off").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("max_cps: taken away; it was 4")
    asked.get_by_role("button", name="Call off").click()
    page.get_by_text("Version 2 of planned is called off").wait_for()
    expect(page.get_by_role("region", name="Planned")).to_contain_text("changes nothing")
    (then,) = [each for each in site.items("/planned-versions") if each["name"] == "planned"]
    assert (then["version"], then["replaces"], then["keys"]) == (3, 1, {})
    undo(page)
    expect(line).to_have_count(0)
    (then,) = [each for each in site.items("/planned-versions") if each["name"] == "planned"]
    assert (then["version"], then["keys"]) == (4, {"max_cps": [None, "4"]})


def test_what_is_called_off_leaves_what_a_colleague_has_changed_since_the_page_was_read(
    site: Watched, visit: Visit
) -> None:
    site.api.ask("PUT", "/accounts/planned-too", {"keys": {"currency": "USD"}})
    planned = {"keys": {"max_cps": "4"}, "memo": "ticket 7", "at": "2099-01-01T00:00:00Z"}
    site.api.ask("PATCH", "/accounts/planned-too", planned)
    page = visit().go("/changes", "Configuration changes")
    line = page.get_by_role("region", name="Planned").get_by_role("listitem").filter(has_text="ticket 7")
    line.wait_for()
    assert site.api.ask("PATCH", "/accounts/planned-too", {"keys": {"max_concurrent": "9"}}).status == 200
    line.get_by_role("button", name="Call off").click()
    asked = page.get_by_role("dialog")
    expect(asked.get_by_role("alert")).to_contain_text("This is not as you have opened it any more")
    expect(line).to_contain_text("max_concurrent: taken away; it was 9")  # the plan is of before
    asked.get_by_role("button", name="Call off").click()
    expect(asked).to_contain_text("max_concurrent: set to 9")
    assert site.api.ask("PATCH", "/accounts/planned-too", {"keys": {"max_concurrent": "8"}}).status == 200
    asked.get_by_role("button", name="Call off").click()
    expect(asked.get_by_role("alert")).to_contain_text("This is not as you have opened it any more")
    expect(line).to_contain_text("max_concurrent: taken away; it was 8")
    asked.get_by_role("button", name="Call off").click()
    expect(asked).to_contain_text("max_concurrent: set to 8")
    asked.get_by_role("button", name="Call off").click()
    page.get_by_text("Version 2 of planned-too is called off").wait_for()
    (then,) = [each for each in site.items("/planned-versions") if each["name"] == "planned-too"]
    assert (then["version"], then["replaces"], then["keys"]) == (5, 4, {})


def test_figures_of_the_machine_and_of_the_database_lead_to_what_is_behind_them(site: Watched, boss: Visitor) -> None:
    page = boss.go("/", "Overview")
    for figure, part, behind in (
        ("Memory", "The machine", r"Memory\d+ %"),
        ("Busiest process", "The machine", r"Process switch, of one core\d+ %"),
        ("Waiting for the database", "Waiting for the database", r"Calls in the journal\d+The oldest"),
    ):
        page.get_by_role("link", name=re.compile(f"^{figure}")).click()
        page.get_by_role("heading", level=1, name="Health").wait_for()
        expect(page.get_by_role("region", name=part)).to_contain_text(re.compile(behind))
        page.go_back()
        page.get_by_role("heading", level=1, name="Overview").wait_for()
    page.get_by_role("link", name=re.compile("^Memory")).click()
    page.get_by_text("All that is known").click()
    page.get_by_text("spool_rows", exact=True).first.wait_for()
    assert violations(page) == []


def test_warnings_of_the_switch_are_shown_after_a_reload_and_after_a_change(site: Watched, visit: Visit) -> None:
    good = site.daemon.configuration_file.read_text()
    visitor = visit()
    site.api.ask("PUT", "/accounts/warned", {"keys": {"currency": "USD"}})
    try:
        site.daemon.configure(good.replace("listen: [", 'listen: ["udp:127.0.0.1:15999", ', 1))
        page = visitor.go("/health", "Health")
        page.get_by_role("button", name="Load the configuration").click()
        expect(done(page, "Load the configuration")).to_contain_text("sip.listen: expected a restart")
        page = visitor.turn("/objects/accounts/warned", "warned")
        page.get_by_role("button", name="End it").click()
        page.get_by_role("dialog").get_by_role("button", name="End it").click()
        said = page.locator("main [role=status]").filter(has_text="warned is ended")
        expect(said).to_contain_text("sip.listen: expected a restart")
    finally:
        site.daemon.configure(good)
        site.daemon.succeed("reload")


def test_every_page_says_why_the_configuration_is_an_earlier_one(site: Watched, visit: Visit) -> None:
    good = site.daemon.configuration_file.read_text()
    mistake = "surprise: expected a known key"
    with site.stage.expecting(Event.RELOAD_REFUSED):
        try:
            site.daemon.configure(f"{good}\nsurprise: 1\n")
            assert site.daemon.verb("reload").code == 3
            page = visit().go("/lists/overrides", "Overrides")
            said = page.get_by_role("alert").filter(has_text="The switch goes by an earlier configuration")
            expect(said).to_contain_text(mistake)
            said.get_by_role("link", name="Health").click()
            page.get_by_text("The last configuration was not taken").wait_for()
            expect(said).to_have_count(0)
        finally:
            site.daemon.configure(good)
            site.daemon.succeed("reload")


def test_overrides_the_blacklist_and_registrations_are_cleared_after_a_question(site: Watched, visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/lists/overrides", "Overrides")
    page.get_by_role("button", name="Set an override").click()
    fields = {"Gateway,_phone_or_account": "carrier-b", "Setting": "max_concurrent", "Value": "9"}
    expect(done(page, "Set an override", **fields)).to_contain_text("carrier-b: max_concurrent is 9")
    row(page, "carrier-b").get_by_role("button", name="Clear").click()
    expect(done(page, "Clear")).to_contain_text("max_concurrent of carrier-b is as defined again")
    undo(page)
    expect(row(page, "carrier-b")).to_contain_text("9")
    assert site.daemon.succeed("overrides", "clear", "carrier-b")
    page = visitor.turn("/lists/blacklist", "Blacklist")
    row(page, "12025550100").get_by_role("button", name="Clear").click()
    expect(done(page, "Clear")).to_contain_text("is off the blacklist")
    assert site.items("/blacklist") == []
    page = visitor.turn("/lists/registrations", "Registrations")
    row(page, "7001").get_by_role("button", name="Forget").click()
    expect(done(page, "Forget")).to_contain_text("Registrations of 7001 are forgotten")
    expect(row(page, "7001")).to_have_count(0)


def test_a_new_override_replaces_none_that_a_colleague_has_set(site: Watched, visit: Visit) -> None:
    page = visit().go("/lists/overrides", "Overrides")
    page.get_by_role("button", name="Set an override").click()
    lowered = {"values": {"max_concurrent": "2"}, "memo": "fraud"}
    assert site.api.ask("POST", "/gateways/carrier-b/overrides", lowered).status == 200
    fields = {"Gateway,_phone_or_account": "carrier-b", "Setting": "max_concurrent", "Value": "900"}
    done(page, "Set an override", **fields)
    expect(page.get_by_role("dialog")).to_contain_text("max_concurrent of carrier-b is overridden already: 2, fraud.")
    assert [(each["value"], each["memo"]) for each in site.items("/overrides")] == [("2", "fraud")]
    expect(row(page, "fraud")).to_have_count(1)  # the list behind it has it, too
    # another setting of the same gateway is no such override
    expect(done(page, "Set an override", Setting="max_cps")).to_contain_text("carrier-b: max_cps is 900")
    assert site.daemon.succeed("overrides", "clear", "carrier-b")


def test_the_memo_of_a_colleague_within_a_refusal_is_not_translated(site: Watched, visit: Visit) -> None:
    visitor = visit(language="zh")
    visitor.go("/parameters", "参数").get_by_text(re.compile("^[一-龥].*。$")).first.wait_for()  # texts of the server
    page = visitor.turn("/lists/overrides", "临时设置")
    page.get_by_role("button", name="临时设置").click()
    raised = {"values": {"max_concurrent": "2"}, "memo": "up; full; back on; ask ann"}  # words of states
    assert site.api.ask("POST", "/gateways/carrier-b/overrides", raised).status == 200
    fields = {"网关、话机或账户": "carrier-b", "设置": "max_concurrent", "值": "900"}
    done(page, "临时设置", **fields)
    expect(page.get_by_role("dialog")).to_contain_text(
        "carrier-b 的 max_concurrent 已有临时设置\N{FULLWIDTH COLON}2, up; full; back on; ask ann。"
    )
    assert site.daemon.succeed("overrides", "clear", "carrier-b")


def test_no_word_of_a_refusal_is_cut_off_beside_a_long_memo(site: Watched, visit: Visit) -> None:
    page = visit(size=NARROW).go("/lists/overrides", "Overrides")
    page.get_by_role("button", name="Set an override").click()
    raised = {"values": {"max_concurrent": "2"}, "memo": "https://tickets.example/" + "0123456789" * 10}
    assert site.api.ask("POST", "/gateways/carrier-b/overrides", raised).status == 200
    fields = {"Gateway,_phone_or_account": "carrier-b", "Setting": "max_concurrent", "Value": "900"}
    done(page, "Set an override", **fields)
    said = page.get_by_role("dialog").get_by_text("is overridden already")
    said.wait_for()
    assert said.evaluate("each => each.scrollWidth < each.closest('[role=dialog]').clientWidth")
    assert site.daemon.succeed("overrides", "clear", "carrier-b")


def test_a_vendor_is_asked_for_a_registration_that_it_has_not_granted(site: Watched, visit: Visit) -> None:
    terms = {"server": "127.0.0.1:9", "username": "switch", "password": "secret"}  # nothing listens there
    keys = {"account": "vendors", "address": "127.0.0.1:9", "prefixes": ["4499"], "register": terms}
    with site.stage.expecting(Event.REGISTRATION_LOST):
        assert site.api.ask("PUT", "/routing-gateways/registering", {"keys": keys}).status == 200
        page = visit().go("/lists/registrations", "Registrations")
        row(page, "registering").get_by_role("button", name="Ask now").click()
        expect(done(page, "Ask now")).to_contain_text("The vendor of registering is asked")
        assert site.api.ask("DELETE", "/routing-gateways/registering?confirm=true").status == 200


def test_reports_at_fixed_times_are_listed_with_what_comes_next(site: Watched, visit: Visit) -> None:
    (listed,) = site.items("/scheduled-reports")
    page = visit().go("/lists/scheduled", "Scheduled reports")
    expect(row(page, "revenue")).to_contain_text(listed["period"])
    expect(row(page, "revenue")).to_contain_text(str(site.daemon.directory / "reports"))


def test_a_report_is_scheduled_on_its_page_and_its_definition_is_an_object_as_others(
    site: Watched, visit: Visit
) -> None:
    visitor = visit()
    page = visitor.go("/reports?name=daily&group=hour&account=acme&answered=true&zone=Europe/Berlin", "Reports")
    page.get_by_role("link", name="Schedule it").click()
    page.get_by_role("heading", level=1, name="New: Scheduled reports").wait_for()
    page.get_by_role("textbox", name="name", exact=True).fill("mornings")
    assert violations(page) == []
    fits_a_telephone(page)
    page.get_by_label("every", exact=False).first.select_option("week")
    page.get_by_role("textbox", name="at", exact=True).fill("7")
    page.get_by_role("button", name="Check the change").click()
    page.get_by_text("a time such as 09:00").first.wait_for()
    assert page.locator("input[data-error]").count()
    for width, height in (NARROW, WIDE):
        page.set_viewport_size({"width": width, "height": height})
        assert violations(page) == [], width
    page.get_by_role("textbox", name="at", exact=True).fill("07:30")
    page.get_by_role("button", name="Check the change").click()
    page.get_by_text("this key, or mail, or both").first.wait_for()
    page.get_by_role("textbox", name="directory").fill("out")
    page.get_by_role("button", name="Check the change").click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    page.get_by_role("heading", level=1, name="mornings").wait_for()
    assert site.api.ask("GET", "/report-schedules/mornings").json["keys"] == {
        "report": "daily", "every": "week", "at": "07:30", "timezone": "Europe/Berlin", "group": "hour",
        "account": "acme", "answered": "yes", "directory": "out",
    }  # fmt: skip
    page = visitor.turn("/lists/scheduled", "Scheduled reports")
    expect(row(page, "mornings")).to_contain_text("database")
    expect(row(page, "mornings")).to_contain_text("account acme, answered yes")
    expect(row(page, "revenue")).to_contain_text("vosd.yaml:")
    page.get_by_role("link", name="revenue", exact=True).click()
    page.get_by_text("is defined in a file").or_(page.get_by_text("vosd.yaml:")).first.wait_for()
    expect(page.get_by_role("button", name="Check the change")).to_have_count(0)
    page = visitor.turn("/objects/reports/mornings", "mornings")
    page.get_by_role("button", name="End it").click()
    page.get_by_role("dialog").get_by_role("button", name="End it").click()
    page.get_by_text("mornings is ended").wait_for()
    undo(page)
    assert {each["name"] for each in site.items("/scheduled-reports")} == {"revenue", "mornings"}
    site.api.ask("DELETE", "/report-schedules/mornings")


def test_who_may_not_see_the_books_is_not_offered_to_schedule_reports(visit: Visit) -> None:
    page = visit("viewer").go("/reports?name=daily", "Reports")
    page.get_by_role("button", name="PDF").wait_for()
    expect(page.get_by_role("link", name="Schedule it")).to_have_count(0)


def test_a_job_has_its_details_and_its_result(site: Watched, visit: Visit) -> None:
    for _ in range(2):
        site.api.wait_for(site.api.ask("POST", "/cdrs/export", {}))
    page = visit().go("/lists/jobs", "Jobs")
    newest = max(int(each["id"]) for each in site.items("/jobs"))
    expect(page.locator("tbody tr").first).to_contain_text(str(newest))
    expect(page.locator("tbody tr").nth(1)).to_contain_text(str(newest - 1))
    job = row(page, "cdr_export").first
    expect(job).to_contain_text("100.0")
    job.get_by_role("button", name="Details").click()
    expect(page.get_by_role("dialog")).to_contain_text("administrator")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    refusal = made_problem(HTTPStatus.SERVICE_UNAVAILABLE, "store_unavailable", "the database is away")
    route_once(page, "**/result", lambda route: route.fulfill(status=503, json=refusal))
    job.get_by_role("button", name="Result").click()
    expect(job.get_by_role("alert")).to_contain_text("the database is away")
    with page.expect_download() as file:
        job.get_by_role("button", name="Result").click()
    assert file.value.path().read_text().startswith("call_id")
    expect(job.get_by_role("button", name="Cancel it")).to_have_count(0)


def test_the_details_of_an_audit_line_have_an_address(site: Watched, visit: Visit) -> None:
    line = site.items("/audit")[-1]  # below those that are drawn
    page = visit().go(f"/lists/audit?open={line['id']}", "Audit")
    expect(page.get_by_role("dialog")).to_contain_text(line["action"])
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert "open" not in page.url
    page.get_by_role("button", name="Details").first.click()
    page.get_by_role("dialog").wait_for()
    assert "open" in page.url
    page = visit().go(f"/lists/audit?action=SetClock&open={line['id']}", "Audit")  # none of the rows of the table
    expect(page.get_by_role("dialog")).to_contain_text(line["action"])
    page = visit().go("/lists/audit?open=987654321", "Audit")
    expect(page.get_by_role("dialog")).to_contain_text("There is no row 987654321 in this list")


def test_a_backup_is_made_and_verified_and_the_configuration_checked(site: Watched, visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/lists/backups", "Backups")
    page.get_by_role("button", name="Make a backup").click()
    expect(done(page, "Make a backup")).to_contain_text("Backup ")
    row(page, "vosd-").first.get_by_role("button", name="Verify").click()
    expect(done(page, "Verify")).to_contain_text("is complete")
    page = visitor.turn("/health", "Health")
    page.get_by_text("It can be loaded").wait_for()
    page.get_by_role("button", name="Load the configuration").click()
    expect(done(page, "Load the configuration")).to_contain_text("is in force")
    assert Path(site.daemon.directory).exists()


@pytest.mark.parametrize(("role", "account"), [("viewer", None), ("agent", "reseller"), ("customer", "acme")])
def test_who_may_not_do_it_is_offered_no_button(visit: Visit, role: str, account: str | None) -> None:
    visitor = visit(role, account)
    page = visitor.go("/accounts/acme", "acme")
    page.locator("dl.facts").first.wait_for()
    for button in ("Transfer", "Credit", "Book a payment", "Block"):
        expect(page.get_by_role("button", name=button, exact=True)).to_have_count(int(role == "agent"))
    if role == "agent":  # it pays from its own account alone, and changes accounts below that
        page.get_by_role("button", name="Transfer").click()
        expect(page.get_by_role("dialog", name="Transfer from reseller").get_by_label("To the account")).to_have_value(
            "acme"
        )
        page.keyboard.press("Escape")
        page = visitor.turn("/accounts/reseller", "reseller")
        page.get_by_role("button", name="Transfer").wait_for()
        for button in ("Credit", "Block"):
            expect(page.get_by_role("button", name=button, exact=True)).to_have_count(0)
    for path in ("/lists/people", "/lists/tokens", "/lists/roles", "/lists/backups"):
        page = visitor.turn(path)
        page.get_by_text("does not have the right").wait_for()
        expect(page.get_by_role("button", name="Download as CSV")).to_have_count(0)
        assert page.locator("main button").filter(has_text=re.compile("Add|Make|New")).count() == 0


def test_who_may_not_see_definitions_is_not_led_to_them(site: Watched, newcomer: Visit) -> None:
    rights = {"permissions": ["calls.see", "calls.test", "routes.see", "audit.see"]}
    assert site.api.ask("PUT", "/roles/operations", rights).status == 200
    site.api.ask("PUT", "/accounts/noticed", {"keys": {"currency": "USD"}})
    visitor = newcomer("operations")
    page = visitor.go("/gateways/carrier-b", "carrier-b")
    page.get_by_role("heading", name="Test call").wait_for()
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("link", name="Settings")).to_have_count(0)
    page = visitor.turn("/changes", "Configuration changes")
    line = page.locator("ol.changes > li", has_text="noticed").first
    line.get_by_role("button", name="What changed").click()
    expect(line).to_contain_text("noticed, version 1")
    page.wait_for_load_state("networkidle")
    expect(line.get_by_role("link")).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_role_that_sees_nothing_opens_no_page_and_its_form_says_which_right_to_see_belongs_to_each(
    site: Watched, boss: Visitor, newcomer: Visit
) -> None:
    rights = {"permissions": ["block", "calls.hang_up", "definitions.change", "routes.change"]}
    assert site.api.ask("PUT", "/roles/blind", rights).status == 200
    visitor = newcomer("blind")
    page = visitor.go("/", "No page")
    page.get_by_text("it has no right to see what its other rights are about").wait_for()
    assert violations(page) == []
    for path, button in (("/calls", "Hang up"), ("/lists/blacklist", "Clear all"), ("/lists/overrides", "Set an")):
        page = visitor.turn(path)
        page.get_by_text("does not have the right").wait_for()
        expect(page.get_by_role("button", name=button)).to_have_count(0)
    for path in ("/new/phones", "/customers/new"):
        page = visitor.turn(path)
        page.get_by_text("does not have the right for this: GET /definitions/{kind}").wait_for()
        expect(page.get_by_role("alert")).to_have_count(0)

    page = boss.go("/lists/roles", "Roles")
    for button in (
        page.get_by_role("button", name="New role"),
        row(page, "blind").get_by_role("button", name="Change"),
    ):
        button.click()
        facts = page.get_by_role("dialog").locator("dl.facts")
        expect(facts).to_contain_text("Hang up calls (calls.hang_up)See calls (calls.see)")
        assert violations(page) == []
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
