"""Commands where the name servers are silent."""

import subprocess
import sys
from pathlib import Path

import pytest

SILENT = (
    "import socket, sys, threading\n"
    "real = socket.getaddrinfo\n"
    "def getaddrinfo(host, *terms, **named):\n"
    "    if host == 'db.example':\n"
    "        threading.Event().wait(300)\n"
    "    return real(host, *terms, **named)\n"
    "socket.getaddrinfo = getaddrinfo\n"
    "from vosd.storage import driver_errors\n"
    "driver_errors.CONNECT_S = 0.1\n"
)
"""Has a resolver that keeps the look-up of the database's host open for five minutes."""
COMMAND = SILENT + "from vosd.cli.main import main\nmain(sys.argv[1:])\n"
API = SILENT + "from vosd.api.process import main\nmain()\n"


def configuration(directory: Path) -> str:
    path = directory / "vosd.yaml"
    path.write_text(
        f"state_dir: {directory}/var\ncontrol_socket: {directory}/vosd.sock\n"
        'database: {url: "mysql+aiomysql://vosd:secret@db.example/vosd"}\n'
    )
    return str(path)


def ended(program: str, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("account", "show", "acme"), 1, "Error: cannot reach mysql+aiomysql://vosd:***@db.example/vosd"),
        (("status",), 4, "Error: no running switch answers"),
        (("migrate",), 1, "Error: cannot reach mysql+aiomysql://vosd:***@db.example/vosd"),
    ],
)
def test_a_command_ends_with_what_it_says_and_not_with_its_look_up(
    tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = ended(COMMAND, "-c", configuration(tmp_path), *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr


def test_an_api_that_stands_alone_does_not_wait_for_its_look_up_at_the_start(tmp_path: Path) -> None:
    """It listened after 40 seconds, and a request that asked for definitions had it go on as long after SIGTERM."""
    done = ended(API, configuration(tmp_path))
    assert (done.returncode, "api.listen is not set" in done.stderr) == (3, True)
