"""``make run`` as a person starts it, and the log-in by its link."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from doubles.sockets.loopback import free_endpoint
from playwright.sync_api import Page

from console.conftest import PASSWORD, WAIT_MS

ROOT: Final = Path(__file__).parents[2]
VOSD: Final = Path(sys.executable).with_name("vosd")
SAID: Final = re.compile(r"^console: (?P<base>http://127\.0\.0\.1:\d+)/(?P<link>#/first-login/\S+)?$", re.MULTILINE)


@contextmanager
def make_run(*words: str) -> Iterator[Iterator[str]]:
    """Run ``make run``, and yield the lines that it prints; Ctrl-C at the end has to end it all.

    Also where this process is ended by SIGTERM, as by ``timeout``, which else would leave the switch behind.
    """
    # A run of the tests in the background of a shell ignores SIGINT, and so would make and all that it starts.
    command = [
        "env",
        "--default-signal=INT",
        "make",
        "--no-print-directory",
        "run",
        f"VENV={Path(sys.executable).parents[1]}",
        *words,
    ]
    environ = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}}
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=False, process_group=0
    ) as process:
        assert process.stdout is not None
        before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        try:
            yield iter(process.stdout.readline, "")
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                signal.signal(signal.SIGTERM, before)


def said_in(lines: Iterator[str]) -> re.Match[str]:
    """Return the one line about the console."""
    seen = ""
    for line in lines:
        seen += line
        if found := SAID.search(seen):
            return found
    raise AssertionError(f"it has ended without a word about the console: {seen or 'its error is above'}")


def first_log_in(page: Page, link: str) -> None:
    """Choose a password by the link, and log in with it."""
    page.set_default_timeout(WAIT_MS)
    page.goto(link)
    page.locator("input[autocomplete=new-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("input[autocomplete=current-password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", level=1).filter(has_not_text="Log in").wait_for()


class Example(NamedTuple):
    """The example, as ``make run DEMO=1`` has started it."""

    base: str
    link: str
    config: Path

    def added(self, name: str, role: str, account: str) -> str:
        """Add a person, and return its link."""
        words = ["user", "add", name, "--role", role, "--account", account, "--json", "-c", self.config]
        done = subprocess.run([VOSD, *words], capture_output=True, check=True)
        return str(json.loads(done.stdout)["link"])


@contextmanager
def example_run(directory: Path) -> Iterator[Example]:
    """Run ``make run DEMO=1`` in a directory."""
    with make_run("DEMO=1", f"API={free_endpoint()}", f"EXAMPLE={directory.absolute()}") as lines:
        said = said_in(lines)
        yield Example(said["base"], f"{said['base']}/{said['link']}", directory / "vosd.yaml")
