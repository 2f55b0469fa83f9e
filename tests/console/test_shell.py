"""What surrounds every screen of the console: the keyboard, the search, times, what is not saved."""

import pytest
from api.watched import Watched, refused_call
from playwright.sync_api import expect

from console.conftest import Visit


@pytest.fixture(scope="module", autouse=True)
def record(site: Watched) -> dict[str, object]:
    """Have a call of acme."""
    return refused_call(site)


def test_what_is_not_saved_is_asked_about_before_it_is_lost(visit: Visit) -> None:
    page = visit().go("/gateways", "Gateways")
    page.get_by_role("link", name="Accounts", exact=True).click()
    page.get_by_label("Accounts", exact=True).get_by_role("link", name="acme", exact=True).click()
    page.get_by_role("button", name="Book a payment").click()
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
    expect(asked).to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_url("**/accounts/acme")
    page.go_back()
    asked.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", level=1, name="Accounts")).to_be_visible()
