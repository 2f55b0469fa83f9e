"""What others see of those who register: vendors that are called there, programs that are told, limits of gateways."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from signal import SIGHUP
from threading import Thread

import pytest
from doubles.daemon import Daemon
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, OutgoingCall, Peer, compose
from doubles.telephone import Telephone

from vosd.control.installation import Reload
from vosd.obs.events import Event
from vosd.wiring.configured_switch import ConfiguredSwitch

from .addresses import CUSTOMERS, NETWORK, REPORTING_SWITCH
from .conditions import eventually
from .stage import Stage, configuration

PATIENCE_S = 15.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    directory: Path = tmp_path_factory.mktemp("registers")
    (directory / "many.yaml").write_text("phones: []\n")
    with Daemon(directory, configuration("phones.yaml", REPORTING_SWITCH)) as daemon:
        stage = Stage(daemon, REPORTING_SWITCH, Event.GATEWAY_UNREGISTERED)
        stage.pay("acme", "100")
        yield stage
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


def test_a_vendor_that_registers_is_called_where_it_is_and_paid(stage: Stage) -> None:
    with Peer(Endpoint(f"{NETWORK}.81", 5_060)) as peer, Peer(stage.endpoint_of("acme")) as customer:
        box = Telephone(peer, stage.address, Login("gsm-box", "secret"))
        box.register()
        (row,) = stage.daemon.ask("registrations")
        assert (row["name"], row["kind"], row["received"]) == ("gsm-box", "routing_gateway", str(peer.address))
        call = OutgoingCall(customer, stage.address, stage.number("4479"))
        call.invite()
        taken = box.pick_up()
        assert taken.invite.start_line == f"INVITE sip:{call.callee}@{peer.address} SIP/2.0"
        call.answered()
        call.send(call.request("BYE", 2))
        peer.reply(peer.expect("BYE", passing=["HELLO"]), 200)
        customer.final_response("2 BYE", call.call_id)
        stage.expect_nothing_left()
        record = stage.record_of(call.callee)
        assert (record["routing_gateway"], record["vendor_account"]) == ("gsm-box", "vendors")
        box.register(0)
        assert stage.daemon.ask("registrations") == []


def test_a_reload_by_an_operator_has_a_registration_that_backs_off_ask_at_once(stage: Stage) -> None:
    """A change of the definitions is loaded without it, also where an earlier reload has loaded that change."""
    others, usual = stage.daemon.directory / "many.yaml", "phones: []\n"
    with Peer(Endpoint(f"{NETWORK}.83", 5_060)) as registrar, stage.expecting(Event.REGISTRATION_LOST):
        register = f'{{server: "{registrar.address}", username: us, password: secret}}'
        trunk = f'{{name: trunk, account: vendors, prefixes: ["4478"], register: {register}}}'
        others.write_text(f"{usual}routing_gateways: [{trunk}]\n")
        stage.daemon.succeed("reload")
        registrar.reply(registrar.expect("REGISTER"), 500)
        eventually(lambda: stage.daemon.ask("registrations")[0]["failures"] == 1, "the failure noted")
        before = stage.daemon.ask("registrations")
        with closing(ConfiguredSwitch(stage.daemon.configuration_file)) as configured:
            asyncio.run(configured.running_switch().ask(Reload()))
        assert stage.daemon.ask("registrations") == before
        stage.daemon.succeed("reload")
        registrar.reply(registrar.expect("REGISTER"), 500)
        eventually(lambda: stage.daemon.ask("registrations")[0]["failures"] == 2, "another failure noted")
        (waiting,) = stage.daemon.ask("registrations")
        stage.daemon.signal(SIGHUP)
        asked = registrar.expect("REGISTER")
        registrar.reply(asked, 200, headers=[f"Contact: {asked['Contact']};expires=600"])
        eventually(lambda: stage.daemon.ask("registrations")[0]["state"] == "registered", "the registration")
        (row,) = stage.daemon.ask("registrations")
        assert str(row["registered_at"]) < str(waiting["next_attempt_at"])
        others.write_text(usual)
        stage.daemon.succeed("reload", "--yes")
        registrar.reply(registrar.expect("REGISTER"), 200)


@contextmanager
def program() -> Iterator[tuple[int, "Queue[dict[str, object]]"]]:
    """Listen to HTTP; yield the port and what is posted."""
    heard: Queue[dict[str, object]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.send_header("Content-Length", "0")
            self.end_headers()
            heard.put({"path": self.path, **json.loads(body)})

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer((f"{NETWORK}.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], heard
        server.shutdown()


def test_another_program_is_told_when_a_phone_comes_and_goes(stage: Stage) -> None:
    usual = configuration("phones.yaml", REPORTING_SWITCH)
    with program() as (port, heard), Peer(Endpoint(f"{NETWORK}.82", 5_060)) as peer:
        desk = Telephone(peer, stage.address, Login("7001", "secret"))
        desk.register()
        stage.daemon.configure(f"{usual}phone_service: {{ip: {NETWORK}.1, port: {port}, path: /phones}}\n")
        stage.daemon.succeed("reload")
        first = heard.get(timeout=PATIENCE_S)
        assert (first["path"], first["phone"], first["state"]) == ("/phones", "7001", "online")
        assert (first["ip"], first["port"]) == (peer.address.host, peer.address.port)
        desk.register(0)
        assert {**first, "state": "offline", "ts": None} == {**heard.get(timeout=PATIENCE_S), "ts": None}
        stage.daemon.configure(usual)
        stage.daemon.succeed("reload")


def test_a_gateway_that_asks_more_than_it_may_from_all_its_addresses_is_told_so(stage: Stage) -> None:
    def options(number: int) -> str:
        return compose(
            [
                f"OPTIONS sip:{stage.address} SIP/2.0",
                f"Via: SIP/2.0/UDP {peer.address};rport;branch=z9hG4bK-metered-{number}",
                f"From: <sip:metered@{peer.address.host}>;tag=metered",
                f"To: <sip:{stage.address}>",
                f"Call-ID: metered-{number}",
                "CSeq: 1 OPTIONS",
                "Max-Forwards: 70",
            ]
        )

    heard: list[Message] = []
    with Peer(Endpoint(CUSTOMERS["poor"], 5_060)) as peer:
        for number in range(20):
            peer.send(options(number), stage.address)
        eventually(lambda: heard.extend(filter(None, [peer.receive(0.2)])) or len(heard) == 20, "an answer to each")
    statuses = [message.status for message in heard]
    assert set(statuses) == {200, 503}
    assert statuses.count(503) > 10
    assert all(message["Retry-After"] for message in heard if message.status == 503)
