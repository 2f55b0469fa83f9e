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
    "from vosd.storage import database\n"
    "database._CONNECT_S = 0.1\n"
    "from vosd.cli.main import main\n"
    "main(sys.argv[1:])\n"
)
"""Runs a command with a resolver that keeps the look-up of the database's host open for five minutes."""


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
    config = tmp_path / "vosd.yaml"
    config.write_text(
        f"state_dir: {tmp_path}/var\ncontrol_socket: {tmp_path}/vosd.sock\n"
        'database: {url: "mysql+aiomysql://vosd:secret@db.example/vosd"}\n'
    )
    command = [sys.executable, "-c", SILENT, "-c", str(config), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(said)
    assert "Traceback" not in done.stderr
