"""Calls over UDP, TCP and TLS in every combination: SIPp on both sides, behind stunnel where TLS is spoken."""

import shutil
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from doubles.certificates import Authority, Certificate
from doubles.sockets.loopback import Endpoint
from doubles.sockets.sipp import Sipp
from doubles.stunnel import Stunnel

from vosd.obs.events import Event

from .addresses import CUSTOMERS, SECURE_SWITCH, VENDORS, VERSATILE_SWITCH
from .conditions import eventually
from .expectations import Expected, answered, check
from .stage import Caller, Stage, Vendor, regular, versatile_stage

pytestmark = pytest.mark.sipp

TUNNEL_PORT = 15_067
SILENCE_MS = 3_200
"""64 T1 of the stage: the longest wait for an answer."""
GATEWAYS = {"UDP": ("carrier-a", "4410"), "TCP": ("carrier-tcp", "4420"), "TLS": ("carrier-tls", "4430")}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def tunnel_certificate(authority: Authority) -> Certificate:
    """What stunnel shows: as a vendor it must be certified for its address."""
    return authority.issue("tunnel", VENDORS["carrier-tls"].host, CUSTOMERS["acme"])


@pytest.fixture(scope="module")
def stage(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with versatile_stage(
        tmp_path_factory.mktemp("transports"), authority, VERSATILE_SWITCH, SECURE_SWITCH, Event.RELOAD_REFUSED
    ) as stage:
        yield stage


class Cast:
    """Who plays one call: SIPp on both sides, and the tunnels between."""

    def __init__(self, stage: Stage, authority: Authority, certificate: Certificate, on_stage: ExitStack) -> None:
        self._stage = stage
        self._root = authority.root.file
        self._certificate = certificate
        self._on_stage = on_stage

    def vendor(self, transport: str, scenario: str, callee: str) -> Sipp:
        gateway, _ = GATEWAYS[transport]
        address = VENDORS[gateway]
        if transport == "TLS":
            behind = Endpoint(address.host, address.port + 100)
            self._tunnel(address, behind, client=False)
            address = behind
        sipp = self._stage.vendor(Vendor(gateway, scenario, _values(transport)), callee, local=address)
        return self._on_stage.enter_context(sipp)

    def caller(self, transport: str, scenario: str, callee: str, source: Endpoint) -> Sipp:
        remote = VERSATILE_SWITCH
        if transport == "TLS":
            remote = Endpoint(source.host, TUNNEL_PORT)
            self._tunnel(remote, SECURE_SWITCH, client=True)
        sipp = self._stage.caller(Caller(scenario, _values(transport)), callee, source, remote=remote)
        return self._on_stage.enter_context(sipp)

    def _tunnel(self, accept: Endpoint, connect: Endpoint, *, client: bool) -> None:
        tunnel = Stunnel(
            accept,
            connect,
            client=client,
            root=self._root,
            certificate=self._certificate,
            scratch=self._stage.daemon.directory,
        )
        self._on_stage.enter_context(tunnel)


def _values(transport: str) -> dict[str, str]:
    switch = SECURE_SWITCH if transport == "TLS" else VERSATILE_SWITCH
    return {"transport": transport, "switch": regular(str(switch))}


HANGS_UP, IS_HUNG_UP_ON = ("hangs_up", "answers"), ("is_hung_up_on", "hangs_up")


@pytest.mark.parametrize(
    ("here", "there", "parts"),
    [  # each transport ends a call from either side, over its own connection and over one of another kind
        ("UDP", "UDP", HANGS_UP),
        ("UDP", "TCP", IS_HUNG_UP_ON),
        ("UDP", "TLS", HANGS_UP),
        ("TCP", "UDP", HANGS_UP),
        ("TCP", "TCP", IS_HUNG_UP_ON),
        ("TCP", "TLS", IS_HUNG_UP_ON),
        ("TLS", "UDP", IS_HUNG_UP_ON),
        ("TLS", "TCP", HANGS_UP),
        ("TLS", "TLS", IS_HUNG_UP_ON),
    ],
)
def test_a_call_crosses_from_any_transport_to_any_other(
    stage: Stage, authority: Authority, tunnel_certificate: Certificate, here: str, there: str, parts: tuple[str, str]
) -> None:
    caller, vendor = parts
    gateway, prefix = GATEWAYS[there]
    callee = stage.number(prefix)
    source = stage.endpoint_of("acme")
    with ExitStack() as on_stage:
        cast = Cast(stage, authority, tunnel_certificate, on_stage)
        called = cast.vendor(there, vendor, callee)
        cast.caller(here, caller, callee, source).wait()
        called.wait()
    stage.expect_nothing_left()
    record = stage.record_of(callee)
    check(record, answered(gateway, "caller" if caller == "hangs_up" else "callee"))
    assert record["source_address"].startswith(f"{source.host}:")
    assert (record["source_address"] == str(source)) is (here != "TLS")
    stage.expect_clean_log()


def test_a_vendor_that_refuses_connections_is_passed_over_at_once(stage: Stage) -> None:
    """RFC 3261 18.4: a closed port fails at once, without a timer."""
    record = stage.call(Caller("hangs_up"), "4440", [Vendor("carrier-b", "answers")])
    check(record, answered("carrier-b", attempts=(("carrier-away", 0), ("carrier-b", 200))))
    assert record["attempts"][0]["ms"] < SILENCE_MS


def test_a_port_that_nothing_listens_at_is_passed_over_at_once(stage: Stage) -> None:
    """RFC 3261 18.4: an ICMP error ends the wait for that address."""
    record = stage.call(Caller("hangs_up"), "4443", [Vendor("carrier-b", "answers")])
    check(record, answered("carrier-b", attempts=(("carrier-shut", 0), ("carrier-b", 200))))
    assert record["attempts"][0]["ms"] < SILENCE_MS


def test_a_call_that_reaches_no_vendor_is_unreachable_and_not_unanswered(stage: Stage, authority: Authority) -> None:
    """RFC 3261 8.1.3.1: a refused connection, a shut port and a wrong certificate are 503; 408 is for silence."""
    caller = Caller("is_refused", {"status": "503", "cause": "38", "reason": "Unreachable"})
    refused = stage.call(caller, "4441", [])
    shut = stage.call(caller, "4442", [])
    wrong = authority.issue("wrong", "127.9.9.9")
    behind = Endpoint(VENDORS["carrier-tls"].host, VENDORS["carrier-tls"].port + 100)
    tunnel = Stunnel(
        VENDORS["carrier-tls"], behind, client=False, root=authority.root.file, certificate=wrong,
        scratch=stage.daemon.directory,
    )  # fmt: skip
    with tunnel:
        unproven = stage.call(caller, "4430", [])
    for record, gateway in ((refused, "carrier-away"), (shut, "carrier-shut"), (unproven, "carrier-tls")):
        check(record, Expected("Unreachable", "switch", 503, 38, ((gateway, 0),)))
        assert record["attempts"][0]["reason"] == "Unreachable"


def test_a_cancelled_call_is_cancelled_over_the_connection(stage: Stage) -> None:
    cancelled = {"transport": "TCP", "status": "487", "cause": "16", "reason": "Cancelled"}
    vendor = Vendor("carrier-tcp", "rings_until_cancelled", {"transport": "TCP", "status": "487"})
    record = stage.call(Caller("cancels_while_ringing", cancelled), "4420", [vendor])
    assert (record["end_reason"], record["hangup_source"]) == ("Cancelled", "caller")


def test_new_certificates_are_taken_while_a_call_over_tls_goes_on(
    stage: Stage, authority: Authority, tunnel_certificate: Certificate
) -> None:
    fresh = authority.issue("fresh", SECURE_SWITCH.host)
    callee = stage.number("4430")
    with ExitStack() as on_stage:
        cast = Cast(stage, authority, tunnel_certificate, on_stage)
        called = cast.vendor("TLS", "answers", callee)
        calling = cast.caller("TLS", "is_hung_up_on", callee, stage.endpoint_of("acme"))
        running = eventually(lambda: _talking(stage), "a call over TLS")
        _install(stage, fresh)
        stage.daemon.succeed("reload")
        assert _talking(stage) == running
        stage.daemon.succeed("hangup", *running)
        calling.wait()
        called.wait()
    ended = Expected("Administrative", "switch", 200, 31, (("carrier-tls", 200),), answered=True, rang=True)
    check(stage.record_of(callee), ended)
    assert _shown_certificate(authority) == fresh.file.read_text()


def test_a_broken_certificate_is_refused_and_the_old_one_stays(stage: Stage, authority: Authority) -> None:
    before = _shown_certificate(authority)
    directory = stage.daemon.directory
    good = (directory / "switch.key").read_text()
    (directory / "switch.key").write_text("no key")
    refusal = stage.daemon.verb("reload")
    (directory / "switch.key").write_text(good)
    assert refusal.code == 3
    assert "vosd.yaml:6: sip.tls.private_key" in refusal.stderr
    assert _shown_certificate(authority) == before
    stage.daemon.succeed("reload")


def _talking(stage: Stage) -> list[str]:
    return [call["call_id"] for call in stage.daemon.ask("calls") if call["state"] == "talking"]


def _install(stage: Stage, certificate: Certificate) -> None:
    shutil.copy(certificate.file, stage.daemon.directory / "switch.pem")
    shutil.copy(certificate.key, stage.daemon.directory / "switch.key")


def _shown_certificate(authority: Authority) -> str:
    return ssl.get_server_certificate(tuple(SECURE_SWITCH), ca_certs=str(authority.root.file))
