"""A browser before the console of a running switch, with people of several roles."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

import pytest
from api.watched import Watched, watched
from doubles.api import HOST
from doubles.process.mariadb import MariaDb
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Route,
    StorageState,
    TimeoutError as WaitedTooLong,
    ViewportSize,
    expect,
    sync_playwright,
)

from console.made_answers import faults_of

PASSWORD: Final = "correct horse battery"
WAIT_MS: Final = 60_000
"""A machine that runs the other tests beside is slow; what does not come at all fails all the same."""
SHORT_LIVED: Final = "--single-threaded --no-opt --no-maglev"
"""Flags of the browser's JavaScript for pages that are left after a second: they are gone before compiling a script
well, or looking for garbage beside it, has paid for itself. All of it takes a tenth less of the processor."""
ROOT: Final = Path(__file__).parents[2]
AXE: Final = (ROOT / "console/node_modules/axe-core/axe.min.js").read_text()
GO: Final = """path => {
    document.querySelector("main h1").dataset.left = "";
    const key = String(Math.random());
    history.pushState({ key, __TSR_key: key, __TSR_index: (history.state?.__TSR_index ?? 0) + 1 }, "", path);
}"""
"""Go to a page as a link of the console does, with a state by which the router knows how far back a page is; the title
of the page that is left is marked."""
TIME_PASSES: Final = """() => {
    const now = Date.now;
    Date.now = () => now() + 2_000;
}"""
"""Let two seconds pass for a window: all that it has read is old then, and it reads it again."""
COLOURED: Final = """scheme =>
    document.querySelector(".wall") || document.documentElement.dataset.mantineColorScheme === scheme
"""
IS_DARK: Final = "matchMedia('(prefers-color-scheme: dark)').matches"
LOOK: Final = """async ([place, options]) => {
    const { violations } = await axe.run(place, options);
    return violations.flatMap(({ id, nodes }) => nodes.map(node => `${id}: ${node.html.slice(0, 200)}`));
}"""
"""Findings alone: to give the browser's driver all that axe has looked at takes longer than to look at it."""
TITLE: Final = "main h1"
NEW_TITLE: Final = f"{TITLE}:not([data-left])"
FRAME: Final = ".mantine-AppShell-header, .mantine-AppShell-navbar"
"""The frame around every page."""
OVER: Final = f"[role=dialog], :is({FRAME}) [aria-expanded=true]"
"""Dialogs over the frame, and lists that are open in it."""
_FRAMES: Final = WeakKeyDictionary[Page, set[int]]()
"""Widths of windows in which axe has looked at the frame."""
_KEPT: Final = WeakSet[BrowserContext]()
"""Windows that keep a route."""
NOWHERE: Final = "http://nowhere.invalid/"
WIDE: Final = (1_440, 900)
NARROW: Final = (360, 780)
ENGLISH: Final = re.compile(r"[A-Za-z]{3,}(?: [a-z]{2,}){2,}")
"""Several words in a row, the beginning of a sentence."""
COMMANDS: Final = re.compile(r"vosd [a-z -]+")

expect.set_options(timeout=WAIT_MS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of a site as those that need MariaDB."""
    for item in items:
        if item.path.parent == Path(__file__).parent and "site" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.mariadb)


@contextmanager
def running_site(directory: Path, more: str, url: str) -> Iterator[Watched]:
    """Run a switch; it starts, works and ends in a thread, because the browser's own loop runs in this one."""
    with ThreadPoolExecutor(1) as thread:
        running = ExitStack()
        installation = thread.submit(running.enter_context, watched(directory, more, url)).result()
        daemon = installation.daemon

        def apart(act: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *words: thread.submit(act, *words).result()

        daemon.verb, daemon._status = apart(daemon.verb), apart(daemon._status)  # type: ignore[method-assign]
        try:
            yield installation
        finally:
            thread.submit(running.close).result()


@contextmanager
def meanwhile(*acts: Callable[[], object]) -> Iterator[None]:
    """Let parties of calls act while a page is used: beside other work it may take longer than their requests wait."""

    def act() -> None:
        for each in acts:
            each()

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(act)
        yield
        done.result()


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mariadb_server: MariaDb
) -> Iterator[Watched]:
    """Return the switch, on MariaDB; ``CONFIGURATION`` of a file of tests is put behind its configuration."""
    more: str = getattr(request.module, "CONFIGURATION", "")
    directory = tmp_path_factory.mktemp("console")
    with running_site(directory, more, mariadb_server.create_database(directory.name)) as installation:
        yield installation


def opened_browser(playwright: Playwright) -> Browser:
    """Return Debian's Chromium without windows: it takes a sixth less of the processor than the whole one."""
    program = shutil.which("chromium-headless-shell")
    assert program is not None, "make system-packages installs chromium-headless-shell"
    return playwright.chromium.launch(
        executable_path=program, args=["--no-sandbox", "--disable-gpu", f"--js-flags={SHORT_LIVED}"]
    )


@pytest.fixture(autouse=True)
def answers_of_the_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that answers in the API's place as that does not; without an answer it would wait for a minute."""
    fulfill, faults = Route.fulfill, list[str]()

    def fulfill_and_check(route: Route, **answer: Any) -> None:
        if "json" in answer:
            status = answer["response"].status if "response" in answer else answer.get("status", 200)
            faults.extend(faults_of(route.request.method, route.request.url, status, answer["json"]))
        fulfill(route, **answer)

    monkeypatch.setattr(Route, "fulfill", fulfill_and_check)
    yield
    assert faults == []


@pytest.fixture(autouse=True)
def routes_that_lose_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a route that fits nothing in each window that had one, so that none is the last that is taken away.

    Chromium may lose a request that comes meanwhile: of 330 that came while routes were taken away 60 times 5 had no
    answer, and none of 395 where one stayed. A list that is read again and again was never read any more.
    """
    route = Page.route

    def route_beside_one_that_stays(page: Page, *place: Any, **terms: Any) -> None:
        if page.context not in _KEPT:
            _KEPT.add(page.context)
            page.context.route(NOWHERE, Route.fallback)
        route(page, *place, **terms)

    monkeypatch.setattr(Page, "route", route_beside_one_that_stays)


@pytest.fixture(scope="package", autouse=True)
def built_console() -> None:
    """Fail where the console that the API serves was built from other sources than those of this tree."""
    if subprocess.run([ROOT / "scripts/console", "is-built"], check=False).returncode:
        pytest.fail("vosd/api/console_files is not built from these sources: run scripts/console build", pytrace=False)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = opened_browser(playwright)
        yield chromium
        chromium.close()


class Visitor(NamedTuple):
    """A person before a browser; what the browser complains of is an error of the test."""

    page: Page
    base: str
    complaints: list[str]

    def go(self, path: str, title: str | None = None) -> Page:
        """Open a page as it is now, and wait for its title.

        A window that shows another page of the console does not load it again, which takes three times as long.
        """
        here = self.page.url.removeprefix(self.base)
        if here.startswith("/") and here.partition("?")[0] != path.partition("?")[0]:
            self.page.evaluate(TIME_PASSES)
            return self.turn(path, title)
        self.page.goto(self.base + path)
        return self._expect_page(path, title)

    def turn(self, path: str, title: str | None = None) -> Page:
        """Open another page without loading the console again, as a link of it does, and wait for its title.

        The page that is left has to be there: a script that is run in a window without one waits without a limit.
        """
        try:
            self.page.locator(TITLE).first.wait_for(state="attached")
        except WaitedTooLong:
            pytest.fail(f"no page has come at {self.page.url}, from which {path} is opened")
        self.page.evaluate(GO, path)
        return self._expect_page(path, title)

    def _expect_page(self, path: str, title: str | None) -> Page:
        titled = self.page.locator(NEW_TITLE)
        try:
            titled.first.wait_for()
            if title is not None:
                self.page.get_by_role("heading", level=1, name=title).wait_for()
        except WaitedTooLong:
            pytest.fail(f"{path} shows {titled.all_inner_texts()} as its title in time, not {title or 'a new one'}")
        return self.page

    def each(self, screens: Mapping[str, str] | Mapping[str, None]) -> Iterator[tuple[str, Page]]:
        """Open pages by their titles, only the first of which loads the console."""
        for number, (path, title) in enumerate(screens.items()):
            yield path, self.turn(path, title) if number else self.go(path, title)


Visit = Callable[..., Visitor]


@contextmanager
def logged_in(
    site: Watched,
    browser: Browser,
    role: str = "administrator",
    account: str | None = None,
    size: tuple[int, int] = WIDE,
    language: str = "en",
    person: StorageState | None = None,
    zone: str | None = None,
) -> Iterator[Visitor]:
    """Log a new person in, unless there is one; what the browser has complained of fails the test at the end."""
    options: Any = {
        "viewport": _viewport(size),
        "locale": language,
        "reduced_motion": "reduce",
        "storage_state": person,
        "timezone_id": zone,
    }
    context = browser.new_context(**options)
    context.set_default_timeout(WAIT_MS)
    page, base = context.new_page(), f"http://{HOST}:{site.api.port}"
    visitor = Visitor(page, base, [])

    def said(message: ConsoleMessage) -> None:
        if "Content Security" in message.text:
            visitor.complaints.append(message.text)

    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    page.on("console", said)
    if person is None:
        _log_in(visitor, site, role, account)
    yield visitor
    context.close()
    assert visitor.complaints == []


def _log_in(visitor: Visitor, site: Watched, role: str, account: str | None) -> None:
    """Have a session without the pages that ask for a password, which other tests fill."""
    name, asks = f"p{_next(site.daemon.directory)}", visitor.page.request
    of = () if account is None else ("--account", account)
    link = site.daemon.ask("user", "add", name, "--role", role, *of)["link"]
    for path, order in (
        ("/session/link", {"link": link.rpartition("/")[2], "password": PASSWORD}),
        ("/session", {"name": name, "password": PASSWORD}),
    ):
        answer = asks.post(f"{visitor.base}/api/v1{path}", data=order)
        assert answer.ok, answer.text()


def _viewport(size: tuple[int, int]) -> ViewportSize:
    return {"width": size[0], "height": size[1]}


class Regulars:
    """The people of a file of tests: each role logs in once, and keeps a window for each language."""

    def __init__(self, site: Watched, browser: Browser, stack: ExitStack, zone: str | None) -> None:
        self._site, self._browser, self._stack, self._zone = site, browser, stack, zone
        self._windows: dict[tuple[str, str | None, str], Visitor] = {}
        self._sessions: dict[tuple[str, str | None], StorageState] = {}

    def visit(
        self,
        role: str = "administrator",
        account: str | None = None,
        size: tuple[int, int] = WIDE,
        language: str = "en",
    ) -> Visitor:
        """Return the window of a person, with nothing that the test before has chosen in it."""
        who, window = (role, account), (role, account, language)
        if window in self._windows:
            visitor = self._windows[window]
            if visitor.page.url.startswith(visitor.base):  # a test may have asked the API alone
                visitor.page.evaluate("localStorage.clear()")
            visitor.page.emulate_media(color_scheme="light")
            visitor.page.set_viewport_size(_viewport(size))
            return visitor
        visitor = self._stack.enter_context(
            logged_in(self._site, self._browser, *who, size, language, self._sessions.get(who), self._zone)
        )
        self._windows[window] = visitor
        if who not in self._sessions:
            self._sessions[who] = visitor.page.context.storage_state()
        return visitor

    def complaints(self) -> list[str]:
        """Return what the browser has complained of."""
        return [each for visitor in self._windows.values() for each in visitor.complaints]


@pytest.fixture(scope="module")
def regulars(request: pytest.FixtureRequest, site: Watched, browser: Browser) -> Iterator[Regulars]:
    """Return the people of a file; ``BROWSER_ZONE`` of it is where they are."""
    with ExitStack() as stack:
        yield Regulars(site, browser, stack, getattr(request.module, "BROWSER_ZONE", None))


@pytest.fixture
def visit(regulars: Regulars) -> Iterator[Visit]:
    """Return ``visit(role, account, size, language)``: a person who has logged in, for all tests of a file."""
    yield regulars.visit
    assert regulars.complaints() == []


@pytest.fixture
def newcomer(site: Watched, browser: Browser) -> Iterator[Visit]:
    """Return the same for people of this test alone, whose session it ends."""
    with ExitStack() as stack:
        yield lambda *words, **named: stack.enter_context(logged_in(site, browser, *words, **named))


@pytest.fixture
def boss(visit: Visit) -> Visitor:
    """Return the administrator of the file."""
    return visit()


def see(page: Page, visibility: str) -> None:
    """Have a page taken for one that is ``visible`` or ``hidden``, as by a change to another tab."""
    page.evaluate(
        "state => { Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });"
        " document.dispatchEvent(new Event('visibilitychange')); }",
        visibility,
    )


def violations(page: Page) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA, and against its rules of colours in light and in dark.

    The colours that a page has are looked at first, then the others, in which it stays: to change them takes as long as
    to look. What is around every page of a window is looked at with the first of them, and wherever something is open
    over it.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    width = page.evaluate("innerWidth")
    is_known = width in _FRAMES.setdefault(page, set()) and not page.locator(OVER).count()
    first, second = ("dark", "light") if page.evaluate(IS_DARK) else ("light", "dark")
    found = [
        f"{first}: {each}"
        for each in _found_by_axe(page, is_known, ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"])
    ]
    colour(page, second)
    found += [f"{second}: {each}" for each in _found_by_axe(page, is_known, ["color-contrast", "link-in-text-block"])]
    if page.locator(FRAME).count():
        _FRAMES[page].add(width)
    return found


def colour(page: Page, scheme: Literal["dark", "light"]) -> None:
    """Change the colours, which a wall does not do; for who wants no motion they do not fade."""
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(COLOURED, arg=scheme)


def _found_by_axe(page: Page, is_known: bool, rules: list[str]) -> list[str]:
    # the one rule that wants style sheets in advance is an experiment, which is not asked for
    options = {"runOnly": rules, "resultTypes": ["violations"], "selectors": False, "preload": {"assets": ["media"]}}
    looked_at = {"exclude": [FRAME]} if is_known else {"include": ["html"]}
    found: list[str] = page.evaluate(LOOK, [looked_at, options])
    return found


def is_in_memory(page: Page, *texts: str) -> bool:
    """Return whether the scripts of a page hold one of the texts, on whatever way; to look takes a second."""
    parts: list[str] = []
    session = page.context.new_cdp_session(page)
    session.on("HeapProfiler.addHeapSnapshotChunk", lambda event: parts.append(event["chunk"]))
    session.send("HeapProfiler.collectGarbage")
    session.send("HeapProfiler.takeHeapSnapshot")
    session.detach()
    held = "".join(parts)
    return any(text in held for text in texts)


def english_in(page: Page) -> list[str]:
    """Return what is said in English; commands are so in every language."""
    return ENGLISH.findall(COMMANDS.sub("", page.inner_text("body")))


def choose_zone(page: Page, name: str) -> None:
    """Choose the zone of times in the menu of the person, by the keyboard."""
    page.get_by_role("button", name=re.compile("^p")).press("Enter")
    page.get_by_role("menuitem", name="Time zone").press("Enter")
    expect(page.get_by_role("dialog").get_by_role("combobox")).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)


def route_once(page: Page, url: str, handle: Callable[[Route], Any]) -> None:
    """Have the next request to an address handled so.

    The route stays, for Chromium may lose a request that comes while the last route of a page is taken away: of 400
    that came at once 18 had no answer.
    """
    taken: list[Route] = []

    def first(route: Route) -> None:
        if taken:
            route.fallback()
            return
        taken.append(route)
        handle(route)

    page.route(url, first)


def lose_the_answer(route: Route) -> None:
    """Have a request carried out, and no answer come."""
    route.fetch()
    route.abort()


def cut_cells(page: Page) -> list[str]:
    """Return the texts of tables that are cut off, and neither have a title nor lead to the whole."""
    found: list[str] = page.locator("td:not(:has(a, button, [title]))").evaluate_all(
        "cells => cells.filter(each => each.scrollWidth > each.clientWidth).map(each => each.innerText)"
    )
    return found


def fits_a_telephone(page: Page) -> None:
    """Make the window narrow for a moment, and wait until the page fits in it."""
    page.set_viewport_size(_viewport(NARROW))
    page.wait_for_function("most => document.documentElement.scrollWidth <= most", arg=NARROW[0])
    page.set_viewport_size(_viewport(WIDE))


def _next(directory: Path) -> int:
    """Count the people of an installation."""
    file = directory / "people"
    number = int(file.read_text()) + 1 if file.exists() else 1
    file.write_text(str(number))
    return number
