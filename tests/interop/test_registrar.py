"""Kamailio as the registrar of a trunk: registered, refreshed, called through, restarted, gone and back."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer
from e2e.addresses import NETWORK
from e2e.conditions import eventually
from e2e.stage import SQLITE, Stage

from .addresses import CUSTOMER_PHONE, REGISTERING_SWITCH, VENDOR_PHONE, VENDOR_REGISTRAR
from .registrar import GRANTS_S, Registrar

HERE = Path(__file__).parent
EVENTS = {"registration_gained", "registration_lost", "registration_refused", "gateway_up", "gateway_down"}
Start = Callable[..., AbstractContextManager[Registrar]]


SOON_LOST_S = 6
"""What is granted where the end of a registration is waited for."""
LATER_S = 20
"""What is granted where a registrar starts anew before the refresh, on a machine that has other work."""
REFRESHED = {"MD5": {}, "SHA-256": {"algorithm": "SHA-256"}, "short nonces": {"nonce_s": 2}}
"""The registrars that are only watched; a refresh comes after 8 s, so all of them run at once."""


class Scene(NamedTuple):
    """A registrar and the switch that registers with it."""

    registrar: Registrar
    trunk: "Trunk"


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start the registrar, as often as wanted; it remembers nothing of its earlier lives."""

    def begin(**terms: int) -> Registrar:
        directory = tmp_path / f"registrar-{len(list(tmp_path.iterdir()))}"
        directory.mkdir()
        return Registrar(directory, VENDOR_REGISTRAR, VENDOR_PHONE, **terms)

    return begin


@pytest.fixture(scope="module", autouse=True)
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    """Start every registrar that is only watched, each with a switch of its own."""
    with ExitStack() as running:
        scenes = {}
        for number, (name, terms) in enumerate(REFRESHED.items(), start=1):
            address = VENDOR_REGISTRAR._replace(port=VENDOR_REGISTRAR.port + number)
            switch = REGISTERING_SWITCH._replace(port=REGISTERING_SWITCH.port + number)
            directory = tmp_path_factory.mktemp("registrar")
            registrar = running.enter_context(Registrar(directory, address, VENDOR_PHONE, **terms))
            scenes[name] = Scene(registrar, running.enter_context(registering(directory / "switch", switch, address)))
        yield scenes


class Trunk(Stage):
    """A switch whose one vendor is the registrar."""

    @property
    def row(self) -> dict[str, Any]:
        """Our registration as ``vosd registrations`` shows it."""
        (row,) = self.daemon.ask("registrations")
        found: dict[str, Any] = row
        return found

    def expect(self, state: str, within_s: float = 60.0) -> None:
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

    def expect_never_lost(self, registrar: Registrar) -> None:
        """Check that the vendor was never gone; a registrar that has ended is named as such."""
        registrar.expect_running()
        told = [f"{line['timestamp']} {line['event']}" for line in self.daemon.log()]
        assert self.events() == ["registration_gained"], "\n".join(told)

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


@contextmanager
def registering(directory: Path, switch: Endpoint, registrar: Endpoint) -> Iterator[Trunk]:
    """Run a switch that registers with a registrar."""
    values = {"network": NETWORK, "switch": str(switch), "registrar": str(registrar), "database": SQLITE}
    directory.mkdir()
    with Daemon(directory, Template((HERE / "registering.yaml").read_text()).safe_substitute(values)) as daemon:
        yield Trunk(daemon, switch)


def test_a_registrar_that_restarts_dies_and_comes_back(start: Start, tmp_path: Path) -> None:
    switch, first = REGISTERING_SWITCH, start(grants_s=LATER_S)
    with first, registering(tmp_path / "switch", switch, VENDOR_REGISTRAR) as trunk:
        trunk.expect("registered")
        first.__exit__()
        with start(grants_s=SOON_LOST_S) as second:
            eventually(lambda: second.count("believed", "REGISTER"), "it is refreshed at the new one", 2 * LATER_S)
            trunk.expect("registered")
            trunk.expect_never_lost(second)
            trunk.call_through()
        eventually(lambda: not _is_registered(trunk), lambda: f"not registered: {trunk.row}", within_s=3 * SOON_LOST_S)
        assert (trunk.why_left() or "").startswith(f"unregistered: not registered at {VENDOR_REGISTRAR}")
        eventually(lambda: "gateway_down" in trunk.events(), "the pings get no answer, too")
        with start():
            trunk.expect("registered")
            eventually(lambda: trunk.why_left() is None, lambda: f"back: {trunk.why_left()}")
            assert set(trunk.events()[1:]) == {
                "registration_lost", "registration_gained", "gateway_down", "gateway_up",
            }  # fmt: skip
            trunk.call_through()


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_it_registers_is_refreshed_called_through_and_taken_back(refreshed: dict[str, Scene], algorithm: str) -> None:
    registrar, trunk = refreshed[algorithm]
    trunk.expect("registered")
    assert trunk.row["contact"] == f"sip:trunk7@{trunk.address}"
    assert trunk.row["last_status"] == 200
    assert trunk.why_left() is None
    trunk.call_through()
    assert (registrar.count("challenged", "INVITE"), registrar.count("believed", "INVITE")) == (1, 1)
    eventually(lambda: registrar.count("believed", "REGISTER") >= 3, "two refreshes", within_s=10 * GRANTS_S)
    assert registrar.count("challenged", "REGISTER") == 1, "refreshes prove themselves unasked"
    trunk.expect_never_lost(registrar)
    assert registrar.count("removed", "REGISTER") == 0
    assert trunk.daemon.interrupt() == 0
    assert registrar.count("removed", "REGISTER") == 1, "it is taken back"


def test_nonces_that_grow_old_are_replaced(refreshed: dict[str, Scene]) -> None:
    registrar, trunk = refreshed["short nonces"]
    trunk.expect("registered")
    eventually(lambda: registrar.count("believed", "REGISTER") >= 3, "two refreshes", within_s=10 * GRANTS_S)
    # On a busy machine a proof may be late, and is challenged once more.
    assert registrar.count("challenged", "REGISTER") >= registrar.count("believed", "REGISTER"), "each one challenged"
    trunk.expect_never_lost(registrar)
    trunk.call_through()


def _is_registered(trunk: Trunk) -> bool:
    return trunk.row["state"] in {"registered", "refreshing"}
