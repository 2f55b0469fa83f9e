"""A browser before the console of a running switch, with people of several roles."""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from api.watched import Watched, watched
from doubles.api import HOST
from e2e.stage import SQLITE
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

PASSWORD: Final = "correct horse battery"
WAIT_MS: Final = 20_000
"""A machine that runs the other tests beside is slow; what does not come at all fails all the same."""
AXE: Final = (Path(__file__).parents[2] / "console/node_modules/axe-core/axe.min.js").read_text()
GO: Final = "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')); }"
"""Go to a page as a link of the console does."""
WIDE: Final = (1_440, 900)
NARROW: Final = (360, 780)

expect.set_options(timeout=WAIT_MS)


@contextmanager
def running_site(directory: Path, more: str = "", url: str = SQLITE) -> Iterator[Watched]:
    """Run a switch; its verbs run in a thread, because the browser's own loop runs in this one."""
    with watched(directory, more, url) as installation, ThreadPoolExecutor(1) as thread:
        daemon = installation.daemon

        def apart(act: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *words: thread.submit(act, *words).result()

        daemon.verb, daemon._status = apart(daemon.verb), apart(daemon._status)  # type: ignore[method-assign]
        yield installation


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Return the switch; ``CONFIGURATION`` of a file of tests is put behind its configuration."""
    more: str = getattr(request.module, "CONFIGURATION", "")
    with running_site(tmp_path_factory.mktemp("console"), more) as installation:
        yield installation


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program is not None, "make system-packages installs chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


class Visitor(NamedTuple):
    """A person before a browser; what the browser complains of is an error of the test."""

    page: Page
    base: str
    complaints: list[str]

    def go(self, path: str, title: str | None = None) -> Page:
        """Open a page, and wait for its title."""
        self.page.goto(self.base + path)
        if title is not None:
            expect(self.page.get_by_role("heading", level=1, name=title)).to_be_visible()
        return self.page

    def turn(self, path: str, title: str) -> Page:
        """Open a page without loading the console again, as a link of it does, and wait for its title."""
        self.page.evaluate(GO, path)
        expect(self.page.get_by_role("heading", level=1, name=title)).to_be_visible()
        return self.page


Visit = Callable[..., Visitor]


@contextmanager
def logged_in(
    site: Watched,
    browser: Browser,
    role: str = "administrator",
    account: str | None = None,
    size: tuple[int, int] = WIDE,
    language: str = "en",
) -> Iterator[Visitor]:
    """Log a new person in; what the browser has complained of fails the test at the end."""
    name = f"p{_next(site.daemon.directory)}"
    of = () if account is None else ("--account", account)
    link = site.daemon.ask("user", "add", name, "--role", role, *of)["link"]
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale=language)
    context.set_default_timeout(WAIT_MS)
    page, base = context.new_page(), f"http://{HOST}:{site.api.port}"
    visitor = Visitor(page, base, [])

    def said(message: ConsoleMessage) -> None:
        if "Content Security" in message.text:
            visitor.complaints.append(message.text)

    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.on("console", said)
    page.goto(base + link)
    page.locator("input[autocomplete=new-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("input[autocomplete=current-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=name)).to_be_visible()
    yield visitor
    context.close()
    assert visitor.complaints == []


@pytest.fixture
def visit(site: Watched, browser: Browser) -> Iterator[Visit]:
    """Return what logs a new person in: ``visit(role, account, size, language)``."""
    with ExitStack() as stack:
        yield lambda *words, **named: stack.enter_context(logged_in(site, browser, *words, **named))


@pytest.fixture(scope="module")
def boss(site: Watched, browser: Browser) -> Iterator[Visitor]:
    """Return an administrator for all tests of a file: a log-in takes a second."""
    with logged_in(site, browser) as visitor:
        yield visitor


def violations(page: Page) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA."""
    page.evaluate(AXE)
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, rules)", rules)
    return [f"{each['id']}: {node['html'][:200]}" for each in found["violations"] for node in each["nodes"]]


def _next(directory: Path) -> int:
    """Count the people of an installation."""
    file = directory / "people"
    number = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(str(number))
    return number
