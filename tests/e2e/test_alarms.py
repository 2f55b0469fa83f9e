"""A vendor that dies and comes back, as an alarm to a webhook and in ``vosd alarms``."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from doubles.daemon import Daemon

from vosd.testing.sockets.peer import Peer

from .addresses import ALARM_SERVER, ALARMING_SWITCH, VENDORS
from .conditions import eventually
from .stage import configuration

SECRET = b"signs alarms"


class Receiver(ThreadingHTTPServer):
    """Takes reports that are signed well, and refuses the first one, as a server that restarts does."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(ALARM_SERVER, Receiving)
        self.reports: Queue[dict[str, Any]] = Queue()
        self.was_refused = False


class Receiving(BaseHTTPRequestHandler):
    """Takes one report."""

    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        signed = self.headers["X-Vosd-Timestamp"].encode() + b"." + body
        is_ours = self.headers["X-Vosd-Signature"] == "sha256=" + hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
        status = 200 if is_ours and self.path == "/alarms" else 401
        if not self.server.was_refused:
            self.server.was_refused, status = True, 503
        if status == 200:
            self.server.reports.put(json.loads(body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_about: Any) -> None:
        """Say nothing."""


@contextmanager
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_vendor_that_dies_and_comes_back_is_an_alarm_that_is_raised_and_cleared(tmp_path: Path) -> None:
    text = configuration("alarms.yaml", ALARMING_SWITCH).replace("$server", str(ALARM_SERVER))
    with receiver() as server, Daemon(tmp_path, text) as daemon:
        raised = server.reports.get(timeout=30)
        assert {name: raised[name] for name in ("node", "state", "alarm", "subject", "level", "dropped")} == {
            "node": "e2e", "state": "raised", "alarm": "gateway_down", "subject": "carrier-asked",
            "level": "critical", "dropped": 0,
        }  # fmt: skip
        held = daemon.ask("alarms")["alarms"]
        assert "gateway_down" in {each["alarm"] for each in held}
        with Peer(VENDORS["carrier-asked"]) as vendor:
            reports = []

            def is_cleared() -> bool:
                vendor.reply(vendor.expect("OPTIONS", within_s=15), 200, tag="there")
                while not server.reports.empty():
                    reports.append(server.reports.get())
                return any(each["alarm"] == "gateway_down" for each in reports)

            eventually(is_cleared, "the end of the alarm is reported")
        cleared = next(each for each in reports if each["alarm"] == "gateway_down")
        assert (cleared["state"], cleared["subject"], cleared["since"]) == (
            "cleared", "carrier-asked", raised["since"],
        )  # fmt: skip
        past = daemon.ask("alarms", "--history")["alarms"]
        assert "gateway_down" in {each["alarm"] for each in past}
        assert server.was_refused
