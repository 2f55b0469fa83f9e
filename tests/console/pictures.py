"""``make pictures``: the console over the example installation, as pictures to look at.

Every screen in light and dark, at 1440 and 360 pixels, in English and Chinese; docs/console.md says which is which.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from doubles.sockets.loopback import free_endpoint
from playwright.sync_api import Browser, expect, sync_playwright

from console.made_run import first_log_in, make_run, said_in

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


def main() -> None:
    """Make the pictures in the directory of the first argument; names that follow choose screens."""
    directory, names = Path(sys.argv[1]), sys.argv[2:] or [*SCREENS]
    directory.mkdir(parents=True, exist_ok=True)
    with make_run("DEMO=1", f"API={free_endpoint()}", f"EXAMPLE={directory.absolute()}/example") as lines:
        said = said_in(lines)
        with sync_playwright() as playwright:
            program = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
            _make(browser, said["base"], said["link"], directory, names)
            browser.close()


def _make(browser: Browser, base: str, link: str, directory: Path, names: list[str]) -> None:
    context = browser.new_context(locale="en")
    first_log_in(context.new_page(), f"{base}/{link}")
    state = context.storage_state()
    for size, (width, height) in SIZES.items():
        for language, locale in LANGUAGES.items():
            shown = browser.new_context(viewport={"width": width, "height": height}, locale=locale, storage_state=state)
            page = shown.new_page()
            for name in names:
                page.goto(base + SCREENS[name])
                expect(page.get_by_role("heading", level=1)).to_be_visible()
                page.wait_for_load_state("networkidle") if name not in {
                    "overview",
                    "wall",
                    "calls",
                } else page.wait_for_timeout(3_000)
                for colours in COLOURS:
                    page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
                    page.wait_for_timeout(250)
                    page.screenshot(path=directory / f"{name}-{size}-{language}-{colours}.png")
            shown.close()


if __name__ == "__main__":
    main()
