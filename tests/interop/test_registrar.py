"""Kamailio as the registrar of a trunk: registered, refreshed, called through, restarted, gone and back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from string import Template
from typing import Any

import pytest
from doubles.daemon import Daemon
from e2e.addresses import NETWORK
from e2e.conditions import eventually
from e2e.stage import SQLITE, Stage

from vosd.testing.sockets.peer import ANSWER, OutgoingCall, Peer

from .addresses import CUSTOMER_PHONE, REGISTERING_SWITCH, VENDOR_PHONE, VENDOR_REGISTRAR
from .registrar import GRANTS_S, Registrar

HERE = Path(__file__).parent
EVENTS = {"registration_gained", "registration_lost", "registration_refused", "gateway_up", "gateway_down"}
Start = Callable[..., AbstractContextManager[Registrar]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start the registrar, as often as wanted; it remembers nothing of its earlier lives."""

    def begin(**terms: Any) -> Registrar:
        directory = tmp_path / f"registrar-{len(list(tmp_path.iterdir()))}"
        directory.mkdir()
        return Registrar(directory, VENDOR_REGISTRAR, VENDOR_PHONE, **terms)

    return begin


class Trunk(Stage):
    """A switch whose one vendor is the registrar."""

    @property
    def row(self) -> dict[str, Any]:
        """Our registration as ``vosd registrations`` shows it."""
        (row,) = self.daemon.ask("registrations")
        found: dict[str, Any] = row
        return found

    def expect(self, state: str, within_s: float = 15.0) -> None:
        """Wait until the registration is so."""
        eventually(lambda: self.row["state"] == state, lambda: f"{state}: {self.row}", within_s)

    def why_left(self) -> str | None:
        """Return why the vendor gets no call right now; None where it would."""
        words = ("--gateway", "phone", "--caller", "1202", "--callee", "441", "--live")
        left = self.daemon.ask("route", "explain", *words)["left"]
        return left[0]["reason"] if left else None

    def events(self) -> list[str]:
        """Return what was told of the vendor."""
        return [line["event"] for line in self.daemon.log() if line.get("event") in EVENTS]

    def call_through(self) -> None:
        """Make a call through the registrar and back, and let the caller end it."""
        with Peer(CUSTOMER_PHONE) as customer, Peer(VENDOR_PHONE) as vendor:
            call = OutgoingCall(customer, self.address, self.number("44"))
            call.invite()
            invite = vendor.expect("INVITE")
            assert invite.every("Proxy-Authorization") == [], "Kamailio keeps what was meant for it"
            lines = [f"Record-Route: {route}" for route in invite.every("Record-Route")]
            vendor.reply(invite, 200, tag="vendor", headers=lines, body=ANSWER)
            call.answered()
            vendor.expect("ACK")
            assert call.hang_up(2).status == 200
            vendor.reply(vendor.expect("BYE"), 200)
        record = self.record_of(call.callee)
        assert (record["end_reason"], record["routing_gateway"]) == ("Normal", "kamailio")
        assert [each["code"] for each in record["attempts"]] == [200]


@pytest.fixture
def launch(tmp_path: Path) -> Callable[[], AbstractContextManager[Trunk]]:
    """Start the switch, once the registrar is there."""

    @contextmanager
    def begin() -> Iterator[Trunk]:
        values = {"network": NETWORK, "switch": str(REGISTERING_SWITCH), "registrar": str(VENDOR_REGISTRAR)}
        text = Template((HERE / "registering.yaml").read_text()).safe_substitute({**values, "database": SQLITE})
        directory = tmp_path / "switch"
        directory.mkdir()
        with Daemon(directory, text) as daemon:
            yield Trunk(daemon, REGISTERING_SWITCH)

    return begin


Launch = Callable[[], AbstractContextManager[Trunk]]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_it_registers_is_refreshed_called_through_and_taken_back(start: Start, launch: Launch, algorithm: str) -> None:
    with start(algorithm=algorithm) as registrar, launch() as trunk:
        trunk.expect("registered")
        assert trunk.row["contact"] == f"sip:trunk7@{REGISTERING_SWITCH}"
        assert trunk.row["last_status"] == 200
        assert trunk.why_left() is None
        trunk.call_through()
        assert (registrar.count("challenged", "INVITE"), registrar.count("believed", "INVITE")) == (1, 1)
        eventually(lambda: registrar.count("believed", "REGISTER") >= 3, "two refreshes", within_s=3 * GRANTS_S)
        assert registrar.count("challenged", "REGISTER") == 1, "refreshes prove themselves unasked"
        assert trunk.events() == ["registration_gained"]
        before = registrar.count("believed", "REGISTER")
        assert trunk.daemon.interrupt() == 0
        assert registrar.count("believed", "REGISTER") == before + 1, "it is taken back"


def test_nonces_that_grow_old_are_replaced(start: Start, launch: Launch) -> None:
    with start(nonce_s=2) as registrar, launch() as trunk:
        trunk.expect("registered")
        eventually(lambda: registrar.count("believed", "REGISTER") >= 3, "two refreshes", within_s=3 * GRANTS_S)
        assert registrar.count("challenged", "REGISTER") == registrar.count("believed", "REGISTER")
        assert trunk.events() == ["registration_gained"]
        trunk.call_through()


def test_a_registrar_that_restarts_dies_and_comes_back(start: Start, launch: Launch) -> None:
    with start() as first, launch() as trunk:
        trunk.expect("registered")
        believed = first.count("believed", "REGISTER")
        assert believed == 1
        first.__exit__()
        with start() as second:
            eventually(lambda: second.count("believed", "REGISTER"), "it is refreshed at the new one", 2 * GRANTS_S)
            trunk.expect("registered")
            assert trunk.events() == ["registration_gained"]
            trunk.call_through()
        eventually(lambda: not _is_registered(trunk), lambda: f"not registered: {trunk.row}", within_s=3 * GRANTS_S)
        assert (trunk.why_left() or "").startswith(f"not registered at {VENDOR_REGISTRAR}")
        eventually(lambda: "gateway_down" in trunk.events(), "the pings find nobody, too")
        with start():
            trunk.expect("registered", within_s=60)
            eventually(lambda: trunk.why_left() is None, lambda: f"back: {trunk.why_left()}")
            assert set(trunk.events()[1:]) == {
                "registration_lost", "registration_gained", "gateway_down", "gateway_up",
            }  # fmt: skip
            trunk.call_through()


def _is_registered(trunk: Trunk) -> bool:
    return trunk.row["state"] in {"registered", "refreshing"}
