"""``make pictures``: the console over the example installation, as pictures to look at.

Every screen in light and dark, at 1440 and 360 pixels, in English and Chinese; docs/console.md says which is which.
"""

import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, StorageState, sync_playwright

from console.conftest import opened_browser
from console.made_run import Example, example_run, first_log_in

SCREENS: Final = {
    "overview": "/",
    "wall": "/?wall=1",
    "calls": "/calls",
    "cdrs": "/cdrs",
    "try": "/try?gateway=rail-sbc&caller=441170000001&callee=442079460001",
    "accounts": "/accounts",
    "account": "/accounts/harbour-hotels",
    "gateways": "/gateways",
    "gateway": "/gateways/north-1",
    "alarms": "/alarms",
    "reports": "/reports?name=daily",
    "invoices": "/invoices",
    "found": "/found?q=north",
    "audit": "/lists/audit",
    "nothing": "/lists/nothing",
}
SIZES: Final = {"wide": (1_440, 900), "narrow": (360, 780)}
COLOURS: Final = ("light", "dark")
LANGUAGES: Final = {"en": "en", "zh": "zh-CN"}
PORTAL: Final = "portal"
"""The first page of a customer."""
LIVE: Final = frozenset({"overview", "wall", "calls"})
LIVE_MS: Final = 6_000
"""So that there is a line of calls, and some of them are answered."""
SETTLED_MS: Final = 300


def main() -> None:
    """Make the pictures in the directory of the first argument; names that follow choose screens."""
    directory, names = Path(sys.argv[1]), sys.argv[2:] or [*SCREENS, PORTAL]
    directory.mkdir(parents=True, exist_ok=True)
    with example_run(directory / "example") as example, sync_playwright() as playwright:
        browser = opened_browser(playwright)
        _make(browser, example, directory, names)
        browser.close()


def _make(browser: Browser, example: Example, directory: Path, names: list[str]) -> None:
    administrator = _logged_in(browser, example.link)
    for size, (width, height) in SIZES.items():
        for language, locale in LANGUAGES.items():
            terms: dict[str, Any] = {"viewport": {"width": width, "height": height}, "locale": locale}
            for name in names:
                person = administrator if name in SCREENS else _customer(browser, example)
                context = browser.new_context(**terms, storage_state=person)
                page = context.new_page()
                page.goto(example.base + SCREENS.get(name, "/"))
                page.get_by_role("heading", level=1).wait_for()
                page.wait_for_timeout(LIVE_MS if name in LIVE else SETTLED_MS)
                for colours in COLOURS:
                    page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
                    page.wait_for_timeout(SETTLED_MS)  # the library lets colours change slowly
                    page.screenshot(path=directory / f"{name}-{size}-{language}-{colours}.png")
                context.close()


def _logged_in(browser: Browser, link: str) -> StorageState:
    context = browser.new_context(locale="en")
    first_log_in(context.new_page(), link)
    return context.storage_state()


@cache
def _customer(browser: Browser, example: Example) -> StorageState:
    return _logged_in(browser, example.added("harold", "customer", "harbour-hotels"))


if __name__ == "__main__":
    main()
