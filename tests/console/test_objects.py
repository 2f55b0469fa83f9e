"""Forms of objects in the console: drawn from declarations, tried before they are saved, undone, with their history."""

import re
from time import time_ns
from typing import Any, Final

import pytest
from api.watched import Watched
from playwright.sync_api import Locator, Page, Route, expect

from console.conftest import (
    NARROW,
    TIME_PASSES,
    Visit,
    Visitor,
    choose_zone,
    fits_a_telephone,
    is_in_memory,
    lose_the_answer,
    route_once,
    violations,
)

KINDS = {
    "accounts": "Account settings",
    "mapping_gateways": "Mapping gateways",
    "routing_gateways": "Routing gateways",
    "phones": "Phones",
    "rate_groups": "Rate groups",
    "routing_plans": "Routing plans",
    "calendars": "Calendars",
    "number_lists": "Number lists",
    "number_pools": "Number pools",
    "dids": "Numbers of customers",
    "address_groups": "Address groups",
    "gateway_groups": "Gateway groups",
    "reports": "Scheduled reports",
    "templates": "Templates",
}

LABELS = """() => [...document.querySelectorAll("form .fields > div > label, form .fields > fieldset > legend")]
    .map(each => each.textContent.trim())"""


def saved(page: Page) -> Locator:
    """Check a change, and return the question before it is saved."""
    page.get_by_role("button", name="Check the change").click()
    asked = page.get_by_role("dialog")
    asked.wait_for()
    return asked


def keys_of(site: Watched, path: str) -> dict[str, Any]:
    keys: dict[str, Any] = site.api.ask("GET", path).json["keys"]
    return keys


def test_forms_have_every_key_of_every_kind(site: Watched, visit: Visit) -> None:
    """A key that is declared appears without a line of the console."""
    forms = {f"/new/{kind}": f"New: {words}" for kind, words in KINDS.items()}
    for path, page in visit().each(forms):
        kind = path.removeprefix("/new/")
        more = page.locator("summary", has_text="more settings")
        page.get_by_label("Find one of").wait_for()
        if more.count():
            if page.locator("details[open]").count() == 0:
                more.click()
            page.locator("details[open] .fields").first.wait_for()
        declared = {each["name"] for each in site.api.ask("GET", f"/definitions/{kind}").json["keys"]}
        shown = {name.removesuffix(" *") for name in page.evaluate(LABELS)}
        assert declared <= shown, (kind, declared - shown)
        if kind == "mapping_gateways":
            assert violations(page) == []


def test_a_form_takes_what_the_template_has(site: Watched, visit: Visit) -> None:
    """Keys of the template are shown where the object has none, and none of them has to be entered once more."""
    keys = {"account": "acme", "max_concurrent": "7", "enabled": "no"}
    trunks = {"caller_rewrite": [["00", "+"]], "auth": {"username": "line", "password": "a-long-secret-1"}}
    assert site.api.ask("PUT", "/templates/trunks", {"keys": trunks}).status == 200
    assert site.api.ask("PUT", "/templates/desks", {"keys": keys}).status == 200
    visitor = visit()
    page = visitor.go("/new/phones", "New: Phones")
    page.get_by_role("textbox", name="number", exact=True).fill("7411")
    assert page.locator("main form").evaluate("form => form.checkValidity()") is False, "an account is needed"
    page.get_by_label("Find one of").fill("template")
    page.get_by_role("combobox", name="template", exact=True).fill("desks")
    page.get_by_label("Find one of").fill("")
    expect(page.get_by_role("combobox", name="account", exact=True)).to_have_attribute(
        "placeholder", "acme (template desks)"
    )
    page.locator("input[autocomplete=new-password]").first.fill("a-long-secret-1")
    saved(page).get_by_role("button", name="Save").click()
    page.get_by_text("7411 is made").wait_for()
    page.get_by_role("heading", level=1, name="7411").wait_for()
    page.get_by_label("Find one of").fill("max_concurrent")
    limit = page.get_by_role("textbox", name="max_concurrent")
    expect(limit).to_have_attribute("placeholder", "7 (template desks)")
    limit.fill("4")
    page.get_by_label("Find one of").fill("enabled")
    expect(page.get_by_role("combobox", name="enabled").first).to_have_text(re.compile(r"^no \(template desks\)"))
    page.get_by_label("Find one of").fill("")
    saved(page).get_by_role("button", name="Save").click()
    page.get_by_text("7411 is changed: version 2").wait_for()
    assert keys_of(site, "/phones/7411") == {"template": "desks", "password": "(hidden)", "max_concurrent": "4"}
    page = visitor.turn("/new/mapping_gateways?template=trunks", "New: Mapping gateways")
    page.get_by_label("Find one of").fill("caller_rewrite")
    page.get_by_text("00 → + (template trunks)").wait_for()
    page.get_by_label("Find one of").fill("auth")
    page.get_by_text("username: line; password: (hidden) (template trunks)").wait_for()
    assert violations(page) == []


def test_names_behind_the_first_thousand_are_offered_by_what_is_typed(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/new/mapping_gateways", "New: Mapping gateways")
    many = re.compile(r"/api/v1/(accounts|routing-gateways)\?fields=name&limit=1000$")
    page.route(many, lambda route: route.fulfill(json={"items": [{"name": "a-acm"}], "next": "behind"}))
    page.reload()
    account = page.get_by_role("combobox", name="account")
    account.fill("acm")
    page.get_by_role("option", name="acme", exact=True).click()
    expect(account).to_have_value("acme")
    page = visitor.go("/new/routing_plans", "New: Routing plans")
    page.get_by_role("combobox", name="gateways").fill("carrier-")
    page.get_by_role("option", name="carrier-b").click()


def test_an_object_is_made_changed_compared_reverted_and_ended(site: Watched, visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/objects/mapping_gateways", "Mapping gateways")
    page.get_by_role("link", name="New").click()
    page.get_by_role("textbox", name="name", exact=True).fill("office-pbx")
    page.get_by_role("combobox", name="account").fill("acm")
    page.get_by_role("option", name="acme").click()
    page.get_by_label("Find one of").fill("hosts")
    page.get_by_role("textbox", name="hosts").fill("192.0.2.200\n192.0.2.201")
    page.get_by_label("Find one of").fill("max_concurrent")
    page.get_by_role("textbox", name="max_concurrent").fill("0")
    page.get_by_text("A number from 1 to 1000000").wait_for()
    page.get_by_role("textbox", name="max_concurrent").fill("12")
    page.get_by_label("Find one of").fill("auth")
    page.get_by_role("textbox", name="username").first.fill("office")
    page.locator("input[autocomplete=new-password]").first.fill("a-long-secret-1")
    page.get_by_label("Why").fill("contract 17")
    asked = saved(page)
    expect(asked).to_contain_text("max_concurrent: set to 12")
    assert "a-long-secret-1" not in asked.inner_text()
    assert site.api.ask("GET", "/mapping-gateways/office-pbx").status == 404
    assert violations(page) == []
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("office-pbx is made").wait_for()
    page.get_by_role("heading", level=1, name="office-pbx").wait_for()
    assert keys_of(site, "/mapping-gateways/office-pbx") == {
        "account": "acme", "hosts": ["192.0.2.200", "192.0.2.201"], "max_concurrent": "12",
        "auth": {"username": "office", "password": "(hidden)"},
    }  # fmt: skip

    assert not is_in_memory(page, "a-long-secret-1")

    page.get_by_role("textbox", name="max_concurrent").fill("20")
    asked = saved(page)
    expect(asked).to_contain_text("max_concurrent: from 12 to 20")
    route_once(page, "**/api/v1/mapping-gateways/office-pbx?confirm=true", lose_the_answer)
    asked.get_by_role("button", name="Save").click()
    expect(asked.get_by_role("alert")).to_contain_text("The switch does not answer")
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("Nothing was done now").wait_for()
    page.get_by_text("office-pbx is changed: version 2").wait_for()
    with_secret = site.daemon.ask("definitions", "show", "mapping_gateways", "office-pbx", "--secrets")["keys"]
    assert with_secret["auth"]["password"] == "a-long-secret-1"
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone").wait_for()
    expect(page.get_by_role("textbox", name="max_concurrent")).to_have_value("12")
    assert keys_of(site, "/mapping-gateways/office-pbx")["max_concurrent"] == "12"

    page.get_by_role("tab", name="Versions").click()
    history = page.locator("ol.versions > li")
    expect(history).to_have_count(3)
    expect(history.nth(1)).to_contain_text("max_concurrent: from 12 to 20")
    expect(history.nth(2)).to_contain_text("contract 17")
    page.get_by_label("From", exact=True).select_option("1")
    page.get_by_text("They are the same").wait_for()
    assert page.url.endswith("tab=history&first=1&last=3")
    page.go_back()
    expect(page.get_by_label("From", exact=True)).to_have_value("2")
    page.go_forward()
    page.reload()
    page.get_by_text("They are the same").wait_for()
    assert violations(page) == []
    page.get_by_role("button", name="Go back to version 2").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("max_concurrent: from 12 to 20")
    route_once(page, "**/api/v1/mapping-gateways/office-pbx/revert?confirm=true", lose_the_answer)
    asked.get_by_role("button", name="Go back to it").click()
    expect(asked).to_contain_text("It may have been carried out all the same")
    asked.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Go back to version 2")).to_be_focused()
    page.get_by_role("button", name="Go back to version 2").click()  # no trial, which would find another version
    asked.get_by_role("button", name="Go back to it").click()
    page.get_by_text("Nothing was done now").wait_for()
    page.get_by_text("office-pbx is as in version 2 again").wait_for()
    assert keys_of(site, "/mapping-gateways/office-pbx")["max_concurrent"] == "20"

    page.get_by_role("tab", name="Keys").click()
    expect(page.get_by_role("textbox", name="max_concurrent")).to_have_value("20")  # the version that ends
    page.get_by_role("button", name="End it").click()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("office-pbx (Mapping gateways) ends")
    route_once(page, "**/api/v1/mapping-gateways/office-pbx?confirm=true", lose_the_answer)
    asked.get_by_role("button", name="End it").click()
    expect(asked).to_contain_text("It may have been carried out all the same")
    asked.get_by_role("button", name="End it").click()
    page.get_by_text(re.compile("Nothing was done now.*office-pbx is ended")).wait_for()
    assert site.api.ask("GET", "/mapping-gateways/office-pbx").status == 404
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone").wait_for()
    page.get_by_role("link", name="office-pbx").wait_for()


def test_what_was_entered_stays_where_a_colleague_ends_the_object(site: Watched, visit: Visit) -> None:
    made = {"name": "brief", "keys": {"account": "acme", "hosts": "192.0.2.210", "max_concurrent": "5"}}
    assert site.api.ask("POST", "/mapping-gateways?confirm=true", made).status == 201
    page = visit().go("/objects/mapping_gateways/brief", "brief")
    page.get_by_role("textbox", name="max_concurrent").fill("20")
    assert site.api.ask("DELETE", "/mapping-gateways/brief?confirm=true").status == 200
    page.evaluate(TIME_PASSES)
    page.evaluate("() => ['offline', 'online'].forEach(each => dispatchEvent(new Event(each)))")
    page.get_by_text("brief is not defined now").wait_for()
    expect(page.get_by_role("textbox", name="max_concurrent")).to_have_value("20")


BESIDE_WORDS: Final = """element => {
    const words = document.createRange();
    words.selectNodeContents(element.firstChild);
    const [around, within] = [element.getBoundingClientRect(), words.getBoundingClientRect()];
    return [within.top - around.top, around.bottom - within.bottom];
}"""
"""The room above and below the words with which an element begins."""


def test_what_is_pressed_within_a_field_is_large_enough(site: Watched, visit: Visit) -> None:
    """WCAG 2.2, 2.5.8: 24 by 24 pixels beside something else that is pressed."""
    keys = {"account": "acme", "password": "a-long-secret-1", "gateways_allow": ["carrier-b"]}
    assert site.api.ask("PUT", "/phones/7305", {"keys": keys}).status == 200
    page = visit().go("/objects/phones/7305", "7305")
    pressed = page.locator(".mantine-PasswordInput-section button, .mantine-Pill-remove")
    page.locator(".mantine-Pill-remove").first.wait_for()
    sizes = [each.bounding_box() for each in pressed.filter(visible=True).all()]
    assert len(sizes) >= 3
    assert all(each and min(each["width"], each["height"]) >= 24 for each in sizes), sizes
    above, below = page.locator(".mantine-Pill-root").first.evaluate(BESIDE_WORDS)
    assert abs(above - below) <= 2
    assert site.api.ask("DELETE", "/phones/7305?confirm=true").status == 200


def test_a_password_that_another_person_has_changed_is_said_to_be_changed(site: Watched, visit: Visit) -> None:
    keys = {"account": "acme", "max_concurrent": "2"}
    assert site.api.ask("PUT", "/phones/7301", {"keys": {**keys, "password": "a-long-secret-1"}}).status == 200
    page = visit().go("/objects/phones/7301", "7301")
    page.get_by_role("textbox", name="max_concurrent").fill("3")
    assert site.api.ask("PATCH", "/phones/7301", {"keys": {"password": "a-long-secret-2"}}).status == 200
    page.get_by_role("button", name="Check the change").click()
    asked = page.get_by_role("dialog", name="Changed by another person meanwhile")
    expect(asked).to_contain_text("a password was changed, or a change was taken back")
    expect(asked.get_by_role("row")).to_have_count(2)
    asked.get_by_role("button", name="Drop mine").click()
    page.locator("input[autocomplete=new-password]").first.fill("a-long-secret-3")
    asked = saved(page)
    expect(asked).to_contain_text("password: changed")
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("7301 is changed: version 3").wait_for()
    page.get_by_role("tab", name="Versions").click()
    expect(page.locator("ol.versions > li").first).to_contain_text("password: changed")


def test_a_copy_is_of_the_object_as_it_is_by_now(site: Watched, visit: Visit) -> None:
    keys = {"currency": "USD", "overdraft_limit": "10"}
    assert site.api.ask("PUT", "/accounts/model", {"keys": keys}).status in {200, 201}
    page = visit().go("/objects/accounts/model", "model")
    expect(page.get_by_role("textbox", name="overdraft_limit")).to_have_value("10")
    assert site.api.ask("PATCH", "/accounts/model", {"keys": {"overdraft_limit": "20"}}).status == 200
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("heading", level=1, name="New: Account settings").wait_for()
    expect(page.get_by_role("textbox", name="overdraft_limit")).to_have_value("20")


def test_two_people_at_one_object_see_both_versions(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/accounts/desk", {"keys": {"currency": "USD", "overdraft_limit": "10", "max_cps": "1"}})
    page = visit().go("/objects/accounts/desk", "desk")
    page.get_by_role("textbox", name="overdraft_limit").fill("30")
    made = site.api.ask("PATCH", "/accounts/desk", {"keys": {"overdraft_limit": "20", "max_cps": "2"}, "memo": "mail"})
    assert made.status == 200
    page.evaluate(TIME_PASSES)
    page.evaluate("['offline', 'online'].forEach(name => dispatchEvent(new Event(name)))")
    page.get_by_text("administrator has saved version 2 meanwhile. What you have typed stays").wait_for()
    expect(page.get_by_role("textbox", name="overdraft_limit")).to_have_value("30")
    page.get_by_role("button", name="Check the change").click()
    asked = page.get_by_role("dialog", name="Changed by another person meanwhile")
    expect(asked).to_contain_text("administrator has saved version 2")
    asked.get_by_role("row", name="overdraft_limit 10 20 30").wait_for()
    asked.get_by_role("row", name="max_cps 1 2 as it is now").wait_for()
    expect(asked).to_contain_text("Both have changed: overdraft_limit")
    assert violations(page) == []
    asked.get_by_role("button", name="Put mine on top").press("Enter")
    expect(page.get_by_role("button", name="Check the change")).to_be_focused()
    asked = saved(page)
    expect(asked).to_contain_text("overdraft_limit: from 20 to 30")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Check the change")).to_be_focused()
    page.keyboard.press("Enter")
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("desk is changed: version 3").wait_for()
    expect(page.get_by_role("heading", level=1)).to_be_focused()  # its button has nothing to check any more
    assert keys_of(site, "/accounts/desk") == {"currency": "USD", "overdraft_limit": "30", "max_cps": "2"}
    assert site.api.ask("PATCH", "/accounts/desk", {"keys": {"max_cps": "3"}}).status == 200
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("alert").filter(has_text="Another person has changed this since").wait_for()
    assert keys_of(site, "/accounts/desk")["max_cps"] == "3", "the undo has taken back the change of another person"


def test_the_question_is_about_what_was_typed_during_the_trial_too(site: Watched, visit: Visit) -> None:
    """It named the limit that was tried first, and another one was saved."""
    site.api.ask("PUT", "/accounts/typed", {"keys": {"currency": "USD", "overdraft_limit": "10"}})
    page, held = visit().go("/objects/accounts/typed", "typed"), list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/accounts/typed?dry_run=true", hold, times=1)
    limit = page.get_by_role("textbox", name="overdraft_limit")
    limit.fill("50")
    with page.expect_request("**/accounts/typed?dry_run=true"):
        page.get_by_role("button", name="Check the change").click()
    limit.fill("5000")
    held[0].continue_()
    asked = page.get_by_role("dialog")
    expect(asked).to_contain_text("overdraft_limit: from 10 to 5000")
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("typed is changed: version 2").wait_for()
    assert keys_of(site, "/accounts/typed")["overdraft_limit"] == "5000"

    page = visit().go("/customers/new", "New customer")
    page.route("**/customers?dry_run=true", hold, times=1)
    page.get_by_role("textbox", name="Name of the account").fill("mistyped")
    page.get_by_role("combobox", name="rate_group", exact=True).fill("sell")
    with page.expect_request("**/customers?dry_run=true"):
        page.get_by_role("button", name="Check the change").click()
    page.get_by_role("textbox", name="Name of the account").fill("typed-2")
    held[1].continue_()
    asked = page.get_by_role("dialog", name="Make typed-2?")
    expect(asked).to_contain_text("typed-2 (Account settings)")


def test_a_version_of_the_same_keys_is_gone_back_to_without_an_undo(site: Watched, visit: Visit) -> None:
    for limit in ("10", "20", "10"):
        keys = {"currency": "USD", "overdraft_limit": limit}
        assert site.api.ask("PUT", "/accounts/turned", {"keys": keys}).status in {200, 201}
    page = visit().go("/objects/accounts/turned?tab=history", "turned")
    page.get_by_role("button", name="Go back to version 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back to it").click()
    page.locator("main [role=status]").filter(has_text="turned (Account settings) stays as it is").wait_for()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    assert len(site.items("/accounts/turned/versions")) == 3


def test_mistakes_stand_at_their_fields_and_references_hold_an_object(site: Watched, visit: Visit) -> None:
    visitor = visit()
    site.api.ask("PUT", "/rate-groups/held", {"keys": {"currency": "USD", "deck": "yes"}})
    site.api.ask(
        "PUT", "/accounts/holder", {"keys": {"rate_group": "held", "spend_limits": [{"per": "day", "amount": "5"}]}}
    )
    page = visitor.go("/objects/accounts/holder", "holder")
    page.get_by_role("combobox", name="rate_group", exact=True).fill("missing")
    page.get_by_role("button", name="Check the change").click()
    page.get_by_role("alert").filter(has_text="Settings to correct: 1").wait_for()
    expect(page.get_by_role("combobox", name="rate_group", exact=True)).to_have_attribute("aria-invalid", "true")
    page.get_by_role("combobox", name="rate_group", exact=True).fill("held")
    page.locator("details", has_text="per: day").locator("summary").click()
    page.get_by_role("textbox", name="amount").fill("much")
    page.get_by_role("button", name="Check the change").click()
    expect(page.get_by_role("textbox", name="amount")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("link", name="Gateways", exact=True).click()
    asked = page.get_by_role("dialog", name="Leave without saving?")
    asked.get_by_role("button", name="Leave").click()
    page = visitor.turn("/objects/rate_groups/held", "held")
    page.get_by_role("button", name="End it").click()
    expect(page.get_by_role("dialog")).to_contain_text("that nothing uses it any more; it is used by account holder")


def test_the_question_before_a_template_is_changed_names_those_that_take_it(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/templates/bronze", {"keys": {"max_cps": "5"}})
    for number in range(7):
        keys = {"template": "bronze", "currency": "USD", **({"max_cps": "9"} if number == 6 else {})}
        assert site.api.ask("PUT", f"/accounts/bronze-{number}", {"keys": keys}).status == 200
    page = visit().go("/objects/templates/bronze", "bronze")
    page.get_by_label("Find one of").fill("max_cps")
    page.get_by_role("textbox", name="max_cps").fill("7")
    asked = saved(page)
    names = ", ".join(f"bronze-{number}" for number in range(5))
    expect(asked).to_contain_text(f"Account settings that take it: 7 ({names}, 2 more)")
    expect(asked).to_contain_text("with a value of their own for max_cps, which stays: 1 (bronze-6)")
    assert violations(page) == []
    asked.get_by_role("button", name="Cancel").click()


def test_a_change_in_a_long_list_is_told_by_its_rows(site: Watched, visit: Visit) -> None:
    rates = [{"prefix": f"44{row:03}", "billing_rate": "0.01"} for row in range(60)]
    assert site.api.ask("PUT", "/rate-groups/long", {"keys": {"currency": "USD", "rates": rates}}).status == 200
    page = visit().go("/objects/rate_groups/long", "long")
    page.locator("summary", has_text="44004").click()
    page.get_by_role("textbox", name="billing_rate", exact=True).fill("0.1")
    page.locator("summary", has_text="44001").click()
    page.get_by_role("button", name="Remove rates 2").click()
    asked = saved(page)
    expect(asked.locator("ul.words li")).to_have_text(
        ["rates #2: taken away; it was prefix: 44001; billing_rate: 0.01", "rates #4.billing_rate: from 0.01 to 0.1"]
    )
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("long is changed: version 2").wait_for()
    page.get_by_role("tab", name="Versions").click()
    first = page.locator("ol.versions > li").last
    expect(first).to_contain_text("rates #20: set to prefix: 44019; billing_rate: 0.01")
    expect(first).to_contain_text("rates: 40 more")
    assert violations(page) == []


def test_a_mistake_stands_at_its_row_behind_an_empty_one(visit: Visit) -> None:
    page = visit().go("/new/mapping_gateways", "New: Mapping gateways")
    page.get_by_role("textbox", name="name", exact=True).fill("rows")
    page.get_by_role("combobox", name="account", exact=True).fill("acme")
    page.get_by_label("Find one of").fill("callee_rewrite")
    for _ in range(2):
        page.get_by_role("button", name="Add to callee_rewrite").click()
    page.get_by_label("callee_rewrite 2: begins with").fill("x~!")
    page.get_by_role("button", name="Check the change").click()
    expect(page.get_by_label("callee_rewrite 2: begins with")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("callee_rewrite 1: begins with")).not_to_have_attribute("aria-invalid", "true")


def test_a_mistake_in_one_line_of_a_map_stands_at_its_field_with_the_name_of_the_line(visit: Visit) -> None:
    page = visit().go("/new/mapping_gateways", "New: Mapping gateways")
    page.get_by_role("textbox", name="name", exact=True).fill("mapped")
    page.get_by_role("combobox", name="account", exact=True).fill("acme")
    page.get_by_label("Find one of").fill("reject_codes")
    codes = page.get_by_role("textbox", name="reject_codes", exact=True)
    codes.fill("486: busy")
    page.get_by_role("button", name="Check the change").click()
    expect(codes).to_have_attribute("aria-invalid", "true")
    expect(codes).to_have_accessible_description(re.compile("486: value 'busy': expected a final code from 400 to 699"))


def test_the_keyboard_goes_on_where_a_row_of_a_form_has_gone(visit: Visit) -> None:
    visitor = visit()
    page = visitor.go("/new/mapping_gateways", "New: Mapping gateways")
    page.get_by_label("Find one of").fill("callee_rewrite")
    add = page.get_by_role("button", name="Add to callee_rewrite")
    add.press("Enter")
    page.get_by_role("button", name="Remove callee_rewrite 1").press("Enter")
    expect(add).to_be_focused()
    page = visitor.turn("/new/routing_plans", "New: Routing plans")
    page.get_by_label("Find one of").fill("order")
    page.get_by_role("button", name="prefix up").press("Enter")
    expect(page.get_by_role("button", name="prefix down")).to_be_focused()  # it is the first one
    page.get_by_role("button", name="Remove weight").press("Enter")
    back = page.get_by_role("button", name="Back to the default order")
    expect(back).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove ").last).to_be_focused()  # there is no way back any more
    unused = page.get_by_label("Add to order")
    for _ in range(unused.locator("option").count() - 1):
        unused.focus()
        unused.select_option(index=1)
    expect(back).to_be_focused()  # there is no criterion left that could be added
    back.press("Enter")


def test_a_password_that_was_typed_is_shown_by_the_keyboard(visit: Visit) -> None:
    page = visit().go("/new/phones", "New: Phones")
    page.get_by_label("Find one of").fill("password")
    password = page.get_by_role("textbox", name="password", exact=True)
    password.focus()
    expect(password).to_have_attribute("type", "password")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(password).to_have_attribute("type", "text")


def test_a_password_that_is_easy_to_guess_is_refused_at_its_field(visit: Visit) -> None:
    page = visit(language="zh-CN").go("/new/mapping_gateways")
    page.get_by_role("textbox", name="name", exact=True).fill("guessed")
    page.get_by_role("combobox", name="account", exact=True).fill("acme")
    page.get_by_label("项设置中查找").fill("auth")
    page.get_by_role("textbox", name="username").first.fill("desk")
    secret = page.get_by_role("group", name="auth", exact=True).get_by_role("textbox", name="password", exact=True)
    secret.fill("guessed-1234")
    page.locator("main form button[type=submit]").click()
    expect(secret).to_have_attribute("data-invalid", "true")
    page.get_by_text("容易猜到").first.wait_for()


def test_a_mistake_in_the_number_of_a_phone_stands_at_its_number(site: Watched, visit: Visit) -> None:
    page = visit().go("/new/phones", "New: Phones")
    page.get_by_role("textbox", name="number", exact=True).fill("112")
    page.get_by_role("combobox", name="account", exact=True).fill("acme")
    page.get_by_role("button", name="Check the change").click()
    page.get_by_text("no emergency number, for calls to it would ring here alone").wait_for()
    expect(page.get_by_role("textbox", name="number", exact=True)).to_have_attribute("aria-invalid", "true")


def test_objects_of_files_are_shown_with_their_place_and_not_changed(visit: Visit) -> None:
    page = visit().go("/objects/routing_gateways/carrier-b", "carrier-b")
    page.get_by_text("vosd.yaml:").wait_for()
    address = page.get_by_role("textbox", name="address", exact=True)
    expect(address).to_be_disabled()
    ink = "each => [getComputedStyle(each).color, getComputedStyle(each).opacity]"
    assert address.evaluate(ink) == page.locator("main h1").evaluate(ink)  # one in a file is read here, too
    expect(page.get_by_role("button", name="Check the change")).to_have_count(0)
    expect(page.get_by_role("button", name="End it")).to_have_count(0)


def test_an_agent_is_sent_to_the_operator_for_what_files_define(visit: Visit) -> None:
    visitor = visit("agent", "reseller")
    visitor.go("/lists/nothing", "There is no such page")
    for path in ("/objects/accounts/acme", "/accounts/acme"):
        page = visitor.turn(path, "acme")
        page.get_by_text("Your operator has defined it: ask there for a change").wait_for()
        expect(page.get_by_text("Defined in a file")).to_have_count(0)


def test_an_agent_lacks_the_right_for_kinds_that_operators_alone_have(visit: Visit) -> None:
    visitor = visit("agent", "reseller")
    for path, title in (
        ("/objects/routing_gateways/carrier-a", "carrier-a"),
        ("/new/routing_gateways", "New: Routing gateways"),
    ):
        page = visitor.go(path, title)
        page.get_by_text("Your role does not have the right for this").wait_for()
        expect(page.get_by_role("main")).not_to_contain_text(re.compile("not defined|no kind|never defined|Try again"))


@pytest.mark.parametrize(("role", "account"), [("viewer", None), ("customer", "acme")])
def test_who_may_not_change_an_object_is_offered_no_change(
    site: Watched, visit: Visit, role: str, account: str | None
) -> None:
    site.api.ask("PUT", "/phones/7301", {"keys": {"account": "acme", "password": "a-long-secret-1"}})
    visitor = visit(role, account)
    page = visitor.go("/objects/phones/7301", "7301")
    expect(page.get_by_role("combobox", name="account")).to_be_disabled()
    for button in ("Check the change", "End it", "Copy"):
        expect(page.get_by_role("button", name=button)).to_have_count(0)
    page = visitor.turn("/objects/phones", "Phones")
    page.get_by_role("link", name="7301").wait_for()
    expect(page.get_by_role("link", name="New")).to_have_count(0)
    visitor.turn("/new/phones", "New: Phones").get_by_text("does not have the right").wait_for()


def test_a_list_of_objects_is_narrowed_by_part_of_the_name_and_by_account(site: Watched, visit: Visit) -> None:
    for name, account in (("7411", "acme"), ("7412", "reseller"), ("7513", "acme")):
        site.api.ask("PUT", f"/phones/{name}", {"keys": {"account": account, "password": "a-long-secret-1"}})
    page = visit().go("/objects/phones", "Phones")
    page.get_by_label("Contains", exact=True).fill("41")
    page.get_by_label("Contains", exact=True).press("Enter")
    expect(page.get_by_role("link", name="7513")).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text="7412").get_by_role("link", name="reseller")).to_be_visible()
    account = page.get_by_role("textbox", name="Account", exact=True)
    account.fill("acme")
    account.press("Enter")
    expect(page.get_by_role("link", name="7412")).to_have_count(0)
    expect(page.get_by_role("link", name="7411")).to_be_visible()
    for kind, title in (("routing_gateways", "Routing gateways"), ("dids", "Numbers of customers")):
        page = visit().go(f"/objects/{kind}?account=unknown", title)
        expect(page.get_by_role("textbox", name="Account", exact=True)).to_have_value("unknown")
        page.get_by_text("no account 'unknown' is configured").wait_for()


def test_a_customer_changes_the_password_of_its_phone_and_nothing_else(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/phones/7302", {"keys": {"account": "acme", "password": "a-long-secret-1"}})
    page = visit("customer", "acme").go("/objects/phones/7302", "7302")
    page.get_by_role("button", name="New password").click()
    asked = page.get_by_role("dialog")
    asked.locator("input").fill("another-secret-2")
    asked.get_by_role("button", name="New password").click()
    page.get_by_text("7302 has a new password").wait_for()
    shown = site.daemon.ask("definitions", "show", "phones", "7302", "--secrets")
    assert shown["keys"]["password"] == "another-secret-2"


def test_an_agent_sees_the_keys_that_it_may_set(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/accounts/sub", {"keys": {"agent": "reseller", "rate_group": "sell"}})
    page = visit("agent", "reseller").go("/objects/accounts/sub", "sub")
    page.get_by_label("Find one of").fill("o")
    page.get_by_role("textbox", name="overdraft_limit").wait_for()
    expect(page.get_by_role("combobox", name="routing_plan")).to_have_count(0)
    expect(page.get_by_label("In force from")).to_have_count(0)


def test_an_agent_sees_that_a_version_of_its_account_is_planned(site: Watched, visit: Visit) -> None:
    place, keys = "/accounts/planned-sub", {"agent": "reseller", "rate_group": "sell"}
    assert site.api.ask("PUT", place, {"keys": keys}).status == 200
    for limit in ("2", "3"):
        january = {"keys": keys | {"max_cps": limit}, "at": "2099-01-01T00:00:00Z"}
        assert site.api.ask("PUT", place, january).status == 200
    page = visit("agent", "reseller").go("/objects/accounts/planned-sub", "planned-sub")
    page.get_by_role("textbox", name="overdraft_limit").wait_for()
    page.get_by_role("status").filter(has_text="Version 3 in force from").wait_for()
    expect(page.get_by_role("status").filter(has_text="Version 2 in force from")).to_have_count(0)


def test_an_agent_makes_an_account_below_itself(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/accounts/chief", {"keys": {"rate_group": "sell", "rights": ["accounts", "phones"]}})
    site.api.ask("PUT", "/accounts/first", {"keys": {"rate_group": "sell", "agent": "chief"}})
    page = visit("agent", "chief").go("/new/accounts", "New: Account settings")
    page.get_by_role("textbox", name="id", exact=True).fill("corner")
    page.get_by_label("Find one of").fill("rate_group")
    page.get_by_role("combobox", name="rate_group", exact=True).fill("sell")
    saved(page).get_by_role("button", name="Save").click()
    page.get_by_text("corner is made").wait_for()
    assert keys_of(site, "/accounts/corner") == {"rate_group": "sell", "agent": "chief"}


def test_a_change_that_begins_later_holds_then_and_is_undone(site: Watched, visit: Visit) -> None:
    site.api.ask("PUT", "/number-lists/late", {"keys": {"patterns": ["4477*"]}})
    page = visit().go("/objects/number_lists/late", "late")
    page.get_by_role("textbox", name="patterns").fill("4477*\n4478*")
    page.get_by_label("In force from").fill("2099-01-01T00:00")
    asked = saved(page)
    expect(asked).to_contain_text("in force from")
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("late is changed: version 2").wait_for()
    expect(page.get_by_role("textbox", name="patterns")).to_have_value("4477*")
    assert keys_of(site, "/number-lists/late") == {"patterns": ["4477*"]}
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("Undone").wait_for()
    versions = site.items("/number-lists/late/versions?sort=-version")
    assert [(each["version"], each["begins_at"][:4]) for each in versions[:2]] == [(3, "2099"), (2, "2099")]
    assert site.api.ask("GET", "/number-lists/late/diff?first=1&last=3").json["keys"] == {}


def test_a_change_begins_at_the_moment_that_was_entered_whatever_zone_is_chosen_meanwhile(
    site: Watched, newcomer: Visit
) -> None:
    site.api.ask("PUT", "/number-lists/zoned", {"keys": {"patterns": ["4477*"]}})
    page = newcomer(zone="Europe/Berlin").go("/objects/number_lists/zoned", "zoned")
    page.get_by_role("textbox", name="patterns").fill("4478*")
    begins = page.get_by_label("In force from")
    begins.fill("2099-01-01T00:00")
    choose_zone(page, "Tokyo")
    expect(begins).to_have_value("2099-01-01T08:00")
    asked = saved(page)
    expect(asked).to_contain_text("in force from 2099-01-01 08:00:00")
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("zoned is changed: version 2").wait_for()
    (version, _) = site.items("/number-lists/zoned/versions?sort=-version")
    assert version["begins_at"] == "2098-12-31T23:00:00.000Z"


def test_a_change_says_that_it_begins_later_whatever_the_clock_of_the_browser(site: Watched, newcomer: Visit) -> None:
    site.api.ask("PUT", "/number-lists/ahead", {"keys": {"patterns": ["4477*"]}})
    visitor = newcomer(zone="UTC")
    visitor.page.clock.install(time=time_ns() / 1_000_000_000 + 3_600)
    page = visitor.go("/objects/number_lists/ahead", "ahead")
    page.get_by_role("textbox", name="patterns").fill("4478*")
    in_half_an_hour = page.evaluate("new Date(Date.now() - 1_800_000).toISOString().slice(0, 16)")
    page.get_by_label("In force from").fill(in_half_an_hour)
    expect(saved(page)).to_contain_text("in force from")


def test_a_change_behind_a_planned_one_is_laid_over_it(site: Watched, visit: Visit) -> None:
    """No person has changed the object meanwhile, and none is said to have."""
    place, keys = "/accounts/planned", {"currency": "USD", "overdraft_limit": "10", "max_cps": "1"}
    assert site.api.ask("PUT", place, {"keys": keys}).status == 200
    january = {"keys": keys | {"max_cps": "2"}, "at": "2099-01-01T00:00:00Z", "memo": "contract"}
    assert site.api.ask("PUT", place, january).status == 200
    visitor, urls = visit(), list[str]()
    visitor.page.on("request", lambda request: urls.append(request.url))
    page = visitor.go("/objects/accounts/planned", "planned")
    page.get_by_role("status").filter(has_text="Version 2 in force from").wait_for()
    assert not [url for url in urls if "/versions" in url], "whole versions of a long list are megabytes"
    limit, begins = page.get_by_role("textbox", name="overdraft_limit"), page.get_by_label("In force from")
    limit.fill("30")
    page.get_by_label("Why").fill("letter 9")
    begins.fill("2099-02-01T00:00")
    page.get_by_role("button", name="Check the change").click()
    asked = page.get_by_role("dialog", name="Another version holds when the change begins")
    expect(asked).to_contain_text("Version 2, made by administrator, holds then")
    asked.get_by_role("row", name="overdraft_limit 10 10 30").wait_for()
    asked.get_by_role("row", name="max_cps 1 2 as it is then").wait_for()
    assert violations(page) == []
    asked.get_by_role("button", name="Drop mine").click()
    expect(limit).to_have_value("10")
    expect(begins).to_have_value("")

    limit.fill("30")
    page.get_by_label("Why").fill("letter 9")
    begins.fill("2099-02-01T00:00")
    page.get_by_role("button", name="Check the change").click()
    page.get_by_role("dialog").get_by_role("button", name="Put mine on top").click()
    asked = saved(page)
    expect(asked).to_contain_text("overdraft_limit: from 10 to 30")
    expect(asked).not_to_contain_text("max_cps")
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("planned is changed: version 3").wait_for()
    expect(limit).to_have_value("10")
    expect(page.get_by_role("textbox", name="max_cps")).to_have_value("1")
    expect(page.get_by_label("Why")).to_have_value("")
    third = site.api.ask("GET", f"{place}?version=3").json
    assert (third["keys"], third["memo"]) == (keys | {"max_cps": "2", "overdraft_limit": "30"}, "letter 9")

    limit.fill("15")
    asked = saved(page)
    expect(asked).to_contain_text("overdraft_limit: from 10 to 15")
    asked.get_by_role("button", name="Save").click()
    page.get_by_text("planned is changed: version 4").wait_for()
    assert keys_of(site, place) == keys | {"overdraft_limit": "15"}


def test_a_change_of_the_past_is_refused_as_such(site: Watched, visit: Visit) -> None:
    assert site.api.ask("PUT", "/number-lists/young", {"keys": {"patterns": ["4477*"]}}).status == 200
    page = visit().go("/objects/number_lists/young", "young")
    page.get_by_role("textbox", name="patterns").fill("4478*")
    page.get_by_label("In force from").fill("2020-01-01T00:00")
    page.get_by_role("button", name="Check the change").click()
    page.get_by_role("alert").filter(has_text="is in the past").wait_for()
    page.get_by_label("In force from").fill("")
    saved(page).get_by_role("button", name="Save").click()
    page.get_by_text("young is changed: version 2").wait_for()


def test_forms_fit_a_telephone_and_speak_chinese(visit: Visit) -> None:
    visitor = visit(size=NARROW, language="zh-CN")
    screens = {"/objects/phones/7001": "7001", "/new/routing_gateways": "落地网关", "/objects/calendars": "日历"}
    for path, page in visitor.each(screens):
        expect(page.get_by_text("加载", exact=False)).to_have_count(0)
        if path == "/new/routing_gateways":
            page.get_by_text("呼叫的去向。").wait_for()
            for key in ("address", "prefixes"):  # the check refuses a gateway without an address
                expect(page.get_by_text(key, exact=True).first).to_be_visible()
            page.get_by_label("项设置中查找").fill("拨号写法")
            expect(page.get_by_role("group", name="number_format")).to_contain_text("国际前缀")
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0], path
        assert violations(page) == [], path


def test_a_calendar_is_drawn_as_a_week_before_it_is_saved(site: Watched, boss: Visitor) -> None:
    page = boss.go("/new/calendars", "New: Calendars")
    page.get_by_role("textbox", name="name", exact=True).fill("hours")
    page.get_by_role("button", name="Add to entries").click()
    page.get_by_label("Week of").focus()
    page.keyboard.type("03042026")
    page.get_by_label("Week of").blur()
    monday = page.get_by_role("img", name=re.compile("^Mon 2026-03-02: "))
    expect(monday).to_have_attribute("aria-label", re.compile("09:00.18:00 working .week days., 18:00.24:00 no entry$"))
    saturday = page.get_by_role("img", name=re.compile("^Sat 2026-03-07: "))
    saturday.scroll_into_view_if_needed()
    box = saturday.bounding_box()
    assert box is not None
    hour, middle = box["width"] / 24, box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 10.2 * hour, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 13.8 * hour, middle)
    page.mouse.up()
    expect(saturday).to_have_attribute("aria-label", re.compile("10:00.14:00 working"))
    page.get_by_role("button", name="Add to entries").click()
    page.get_by_label("entries 3: days").select_option("one date")
    page.get_by_label("entries 3: date").fill("2026-03-03")
    page.get_by_label("entries 3: working or not").select_option("no")
    tuesday = page.get_by_role("img", name=re.compile("^Tue 2026-03-03: "))
    expect(tuesday).to_have_attribute("aria-label", re.compile("09:00.18:00 not working .date or holiday."))
    page.get_by_label("entries 3: to").fill("25:00")
    page.get_by_role("alert").filter(has_text="entries[2].to").wait_for()
    page.get_by_label("entries 3: to").fill("")
    page.get_by_label("entries 3: from").fill("")
    expect(tuesday).to_have_attribute("aria-label", re.compile("00:00.24:00 not working"))
    assert violations(page) == []
    fits_a_telephone(page)
    saved(page).get_by_role("button", name="Save").click()
    page.get_by_text("hours is made").wait_for()
    assert keys_of(site, "/calendars/hours") == {
        "entries": [
            {"weekdays": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "18:00"},
            {"weekdays": ["sat"], "from": "10:00", "to": "14:00"},
            {"working": "no", "date": "2026-03-03"},
        ]
    }


def test_a_plan_shows_what_it_does_with_a_number_before_it_is_saved(site: Watched, boss: Visitor) -> None:
    site.api.ask("PUT", "/routing-plans/narrow", {"keys": {"gateways": ["carrier-c"]}})
    page = boss.go("/objects/routing_plans/narrow", "narrow")
    page.get_by_label("Called number").fill("4420555")
    page.get_by_role("combobox", name="Gateway or phone").fill("acme-pbx")
    gateways = page.get_by_label("Gateways by this plan").locator("tbody tr")
    expect(gateways.first).to_contain_text(re.compile(r"^1\s*carrier-c"))
    page.get_by_role("combobox", name="gateways").press("Backspace")
    expect(gateways.first).to_contain_text(re.compile(r"^1\s*.\s*carrier-b"))
    expect(gateways.nth(1)).to_contain_text(re.compile(r"^2\s*1\s*carrier-c"))
    page.get_by_label("Add to order").select_option("cost")
    criteria = page.get_by_role("group", name="order").get_by_role("listitem")
    expect(criteria).to_have_text([re.compile(each) for each in ("calendar", "prefix", "priority", "cost", "weight")])
    page.get_by_role("button", name="cost up").click()
    expect(criteria.nth(2)).to_contain_text("cost")
    assert violations(page) == []
    fits_a_telephone(page)
    page.get_by_role("button", name="Try on last week's calls").click()
    asked = page.get_by_role("dialog", name="calls")
    asked.get_by_text("calls would go elsewhere").wait_for()
    asked.get_by_role("button", name="Close").click()
    saved(page).get_by_role("button", name="Save").click()
    page.get_by_text("narrow is changed: version 2").wait_for()
    assert keys_of(site, "/routing-plans/narrow") == {"order": ["calendar", "prefix", "cost", "priority", "weight"]}
