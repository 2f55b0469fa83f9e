"""``make run`` as a person starts it: it says where the console is, with a link for the first administrator."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from doubles.sockets.loopback import free_endpoint
from playwright.sync_api import Browser, Page, expect

from console.conftest import WAIT_MS, Visitor, violations
from console.made_run import ROOT, VOSD, Example, example_run, first_log_in, said_in

SCREENS: Final = {
    "/calls": "Calls now",
    "/cdrs": "Call search",
    "/accounts": "Accounts",
    "/gateways": "Gateways",
    "/alarms": "Alarms",
    "/lists/registrations": "Registrations",
    "/invoices": "Invoices",
    "/lists/ledger": "Ledger",
    "/lists/audit": "Audit",
    "/reports?name=daily": "Reports",
}
CONFIGURATION: Final = """
node: mine
sip: {{listen: ["udp:{sip}"]}}
api: {{listen: "{api}"}}
database: {{url: "sqlite+aiosqlite:///{directory}/vosd.db"}}
state_dir: {directory}/var
control_socket: {directory}/vosd.sock
shutdown_grace: 0
"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a window of a test's own; one that stayed open would ask a switch that has ended."""
    page = browser.new_page(locale="en", reduced_motion="reduce")
    yield page
    page.close()


RUNNING: Final = """
import signal, sys
from console.made_run import make_run, said_in
with make_run("CONFIG=" + sys.argv[1]) as lines:
    print(said_in(lines)[0], flush=True)
    signal.pause()
"""


def test_the_link_of_make_run_makes_the_first_administrator_and_no_second_and_sigterm_leaves_no_switch(
    tmp_path: Path, page: Page
) -> None:
    config = tmp_path / "vosd.yaml"
    api = free_endpoint()
    config.write_text(CONFIGURATION.format(sip=free_endpoint(), api=api, directory=tmp_path))
    command = [sys.executable, "-c", RUNNING, config]
    with subprocess.Popen(command, cwd=ROOT / "tests", stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            said = said_in(iter(process.stdout.readline, ""))
            assert said["base"] == f"http://{api}"
            first_log_in(page, f"{said['base']}/{said['link']}")
            page.get_by_role("heading", level=1, name="Overview").wait_for()
            first = subprocess.run(
                [VOSD, "user", "first", "--wait", "-c", config],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert first.stdout == f"console: http://{api}/\n"
        finally:
            process.terminate()
        assert process.wait(WAIT_MS / 1_000) == 128 + signal.SIGTERM
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((api.host, api.port))
    assert said["link"].rpartition("/")[2] not in "".join(path.read_text() for path in tmp_path.rglob("*.log"))


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    with example_run(tmp_path_factory.mktemp("example")) as running:
        yield running


def test_the_example_has_something_on_every_screen(example: Example, page: Page) -> None:
    first_log_in(page, example.link)
    # shortly after midnight the day has no calls yet; its figures are read twice a minute
    expect(page.get_by_role("region", name="Today").first).to_contain_text("Income today", timeout=100_000)
    visitor = Visitor(page, example.base, [])
    for path, title in SCREENS.items():
        visitor.turn(path, title)
        shown = page.locator(".mantine-Alert-root") if path == "/alarms" else page.locator("tbody tr td")
        shown.first.wait_for()


def test_a_customer_sees_its_money_how_to_pay_in_and_its_invoice_under_the_name_of_the_operator(
    example: Example, page: Page
) -> None:
    first_log_in(page, example.added("harold", "customer", "harbour-hotels"))
    page.get_by_role("heading", level=1, name="Harbour Hotels").wait_for()
    expect(page).to_have_title(re.compile("^Harbour Hotels . Example Telecom$"))
    page.get_by_role("link", name="Example Telecom").wait_for()
    expect(page.get_by_role("region", name="How to pay in")).to_contain_text("Say as reference: harbour-hotels")
    button = page.get_by_role("link", name="My account", exact=True)
    assert button.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(11, 114, 133)"
    for name, begin in (("PDF$", b"%PDF-"), ("Calls$", b"call_id"), ("Calls of today as CSV", b"call_id")):
        with page.expect_download() as downloaded:
            page.get_by_role("button", name=re.compile(f"^{name}")).click()
        assert downloaded.value.path().read_bytes().lstrip(b'\xef\xbb\xbf"').startswith(begin)
    assert "carrier" not in page.inner_text("body")
    assert violations(page) == []


def test_an_agent_sees_the_accounts_below_it(example: Example, page: Page) -> None:
    first_log_in(page, example.added("rosa", "agent", "reseller"))
    below = page.get_by_role("region", name="Accounts below").first
    expect(below.locator("tbody tr")).to_have_count(2)
    page.get_by_text("All", exact=True).click()
    expect(page).to_have_url(re.compile("tree=all$"))
    expect(below.locator("tbody tr")).to_have_count(2)
    assert violations(page) == []
