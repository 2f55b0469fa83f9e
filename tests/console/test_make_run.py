"""``make run`` as a person starts it: it says where the console is, with a link for the first administrator."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from doubles.sockets.loopback import free_endpoint
from playwright.sync_api import Browser, expect

from console.made_run import first_log_in, make_run, said_in

SCREENS: Final = {
    "/calls": "Calls now",
    "/cdrs": "Call search",
    "/accounts": "Accounts",
    "/gateways": "Gateways",
    "/alarms": "Alarms",
    "/lists/registrations": "Registrations",
    "/lists/invoices": "Invoices",
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


def test_the_link_of_make_run_makes_the_first_administrator_and_no_second(tmp_path: Path, browser: Browser) -> None:
    config = tmp_path / "vosd.yaml"
    api = free_endpoint()
    config.write_text(CONFIGURATION.format(sip=free_endpoint(), api=api, directory=tmp_path))
    with make_run(f"CONFIG={config}") as lines:
        said = said_in(lines)
        assert said["base"] == f"http://{api}"
        page = browser.new_context(locale="en").new_page()
        first_log_in(page, f"{said['base']}/{said['link']}")
        expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
        first = subprocess.run(
            [Path(sys.executable).with_name("vosd"), "user", "first", "--wait", "-c", config],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert first.stdout == f"console: http://{api}/\n"
    assert said["link"].rpartition("/")[2] not in "".join(path.read_text() for path in tmp_path.rglob("*.log"))


def test_the_example_has_something_on_every_screen(tmp_path: Path, browser: Browser) -> None:
    with make_run("DEMO=1", f"API={free_endpoint()}", f"EXAMPLE={tmp_path}/example") as lines:
        said = said_in(lines)
        page = browser.new_context(locale="en").new_page()
        first_log_in(page, f"{said['base']}/{said['link']}")
        expect(page.get_by_role("region", name="Today").first).to_contain_text("Income today")
        for path, title in SCREENS.items():
            page.goto(said["base"] + path)
            expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
            shown = page.locator(".mantine-Alert-root") if path == "/alarms" else page.locator("tbody tr td")
            expect(shown.first).to_be_visible()
