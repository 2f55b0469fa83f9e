"""A stop while a server outside does not answer: the process ends, and the next one can go on with its calls."""

import signal
import socket
import time
from pathlib import Path

import pytest
from doubles.busy_thread import busy_thread
from doubles.daemon import Daemon
from doubles.quick_alarms import mails_at_once
from e2e.addresses import NETWORK

from vosd.engine.alarms import mail

MUTE_S = 180.0
"""Seconds that a mail waits for its server: many times as long as a stop takes on a busy machine."""

CONFIGURATION = """
sip: {listen: ["udp:$network.9:14068"]}
database: {url: "sqlite+aiosqlite:///$directory/vosd.db"}
state_dir: $directory/var
control_socket: $directory/vosd.sock
on_sigterm: keep
alarms: {mail: {server: 127.0.0.1, port: $port, security: none, sender: a@b.net, recipients: c@b.net}}
""".replace("$network", NETWORK)


def mails_that_wait() -> None:
    mails_at_once()
    mail.TIMEOUT_S = mail.MAIL_S = MUTE_S  # type: ignore[misc]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_does_not_wait_for_a_mail_server_that_says_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(60)
        text = CONFIGURATION.replace("$port", str(mute.getsockname()[1]))
        with Daemon(tmp_path, text, prepare=mails_that_wait) as daemon:
            daemon.configure(text + "unknown_key: 1\n")
            assert daemon.verb("reload").code != 0
            with mute.accept()[0]:
                began = time.monotonic()
                daemon.signal(number)
                assert daemon.wait() == 0
                assert time.monotonic() - began < 2 * MUTE_S / 3
        assert "stopped" in {line.get("event") for line in daemon.log()}


def test_a_stop_ends_the_process_although_a_thread_goes_on(tmp_path: Path) -> None:
    text = "\n".join(line for line in CONFIGURATION.splitlines() if not line.startswith("alarms"))
    with Daemon(tmp_path, text, prepare=busy_thread) as daemon:
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        assert "stopped" in {line.get("event") for line in daemon.log()}
