"""Signed calls (STIR, SHAKEN) with the real daemon: signed for one vendor, verified on the trunk of another network."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from doubles.certificate_server import CertificateServer, Page
from doubles.certificates import Authority
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, OutgoingCall, Peer
from doubles.sti import Signatory, Sti

from vosd.stir.passport import SignedAbout, read
from vosd.stir.terms import Attestation

from .addresses import CERTIFICATE_SERVER, NETWORK, SIGNING_SWITCH, VENDORS
from .conditions import eventually
from .stage import Stage, configuration

CUSTOMER = Endpoint(f"{NETWORK}.11", 15_160)
OTHER_NETWORK = Endpoint(f"{NETWORK}.12", 15_160)
MARKED_NETWORK = Endpoint(f"{NETWORK}.13", 15_160)
PATIENCE_S = 20


class Parties(NamedTuple):
    """A stage with a customer, two networks that sign, two vendors, and a server of certificates."""

    stage: Stage
    customer: Peer
    other: Peer
    marked: Peer
    a: Peer
    b: Peer
    server: CertificateServer
    sti: Sti
    network: Signatory
    """The other network."""
    directory: Path
    seen: set[str]
    """Call-IDs of INVITEs that have arrived at vendors."""

    def invited(self, vendor: Peer) -> Message:
        """Return the next INVITE that is no retransmission, and refuse it as busy."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            message = vendor.receive(1)
            if message is not None and message.method == "INVITE" and message["Call-ID"] not in self.seen:
                self.seen.add(message["Call-ID"])
                vendor.reply(message, 486, tag=f"vendor-{len(self.seen)}")
                return message
        raise vendor.unexpected("a new INVITE")

    def signed_for(self, caller: str = "12025550100", callee: str | None = None) -> Message:
        """Let the customer call, and return the INVITE that the vendor gets."""
        call = OutgoingCall(self.customer, self.stage.address, callee or self.stage.number("4410"), caller)
        call.invite()
        invite = self.invited(self.a)
        assert call.refused().status == 486
        return invite

    def verified(self, peer: Peer, callee: str, *lines: str, caller: str = "12025550100") -> tuple[int | None, Any]:
        """Let another network call, and return the final code and the INVITE that the vendor got."""
        call = OutgoingCall(peer, self.stage.address, callee, caller)
        call.invite(lines)
        status, invite = None, None
        deadline = time.monotonic() + PATIENCE_S
        while status is None and time.monotonic() < deadline:
            message = self.b.receive(0.05)
            if message is not None and message.method == "INVITE" and message["Call-ID"] not in self.seen:
                self.seen.add(message["Call-ID"])
                self.b.reply(message, 486, tag=f"vendor-{len(self.seen)}")
                invite = message
            status = self._final(peer, call)
        return status, invite

    def booked(self, callee: str, wanted: int) -> list[dict[str, Any]]:
        """Return the records of calls to a number, none until there are as many as wanted."""
        found = self.stage.records("--callee", callee)
        return found if len(found) == wanted else []

    def _final(self, peer: Peer, call: OutgoingCall) -> int | None:
        message = peer.receive(0.05)
        if message is None or message.status is None or message.status < 200 or message["Call-ID"] != call.call_id:
            return None
        call.remote_to = message["To"]
        call.send(call.request("ACK", branch="INVITE"))
        return message.status


def now_s() -> int:
    return time.time_ns() // 1_000_000_000


def write_key(directory: Path, signatory: Signatory) -> None:
    (directory / "signing.key").write_text(signatory.key, encoding="ascii")
    (directory / "signing.key").chmod(0o600)
    (directory / "signing.pem").write_bytes(signatory.chain)


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parties]:
    directory = tmp_path_factory.mktemp("signing")
    sti = Sti(time.time_ns() // 1_000_000)
    ours = sti.issue(url=f"https://{CERTIFICATE_SERVER}/signing.pem")
    network = sti.issue(url=f"https://{CERTIFICATE_SERVER}/other.pem")
    write_key(directory, ours)
    (directory / "roots.pem").write_text(sti.root_pem, encoding="ascii")
    tls = Authority(tmp_path_factory.mktemp("tls"))
    text = configuration("signing.yaml", SIGNING_SWITCH).replace("$certificates", str(CERTIFICATE_SERVER))
    with pytest.MonkeyPatch.context() as environment, ExitStack() as stack:
        environment.setenv("SSL_CERT_FILE", str(tls.root.file))
        context = tls.server_context(tls.issue("certificates", CERTIFICATE_SERVER.host))
        server = stack.enter_context(CertificateServer(context, *CERTIFICATE_SERVER))
        server.pages["/signing.pem"] = Page(ours.chain, headers=(("Cache-Control", "max-age=3600"),))
        server.pages["/other.pem"] = Page(network.chain)
        daemon = stack.enter_context(Daemon(directory, text))
        stage = Stage(daemon, SIGNING_SWITCH)
        addresses = (CUSTOMER, OTHER_NETWORK, MARKED_NETWORK, VENDORS["carrier-a"], VENDORS["carrier-b"])
        peers = [stack.enter_context(Peer(each)) for each in addresses]
        yield Parties(stage, *peers, server, sti, network, directory, set())
        stage.expect_nothing_left()
        stage.expect_timers_run_out()
        stage.expect_books_in_order()
        assert daemon.interrupt() == 0
        stage.expect_clean_log()


def test_a_call_that_this_switch_has_signed_is_verified_on_another_trunk_of_it(parties: Parties) -> None:
    signed = parties.signed_for()
    callee = signed["To"].partition("sip:")[2].partition("@")[0]
    line = f"Identity: {signed['Identity']}"
    status, invite = parties.verified(parties.other, callee, line)
    assert status == 486
    assert invite["P-Asserted-Identity"].startswith("<sip:12025550100;verstat=TN-Validation-Passed@")
    assert invite["Identity"] == signed["Identity"]
    both = eventually(lambda: parties.booked(callee, 2), "two records")
    found = {each["mapping_gateway"]: each for each in both}
    assert (found["acme-pbx"]["attestation"], found["acme-pbx"]["verstat"]) == ("A", None)
    other = found["other-network"]
    assert (other["attestation"], other["verstat"]) == ("A", "TN-Validation-Passed")
    assert parties.server.asked.count("/signing.pem") == 1


def test_a_number_that_is_not_the_customers_is_attested_partially(parties: Parties) -> None:
    token = read(parties.signed_for(caller="12025559999")["Identity"], SignedAbout("", "", ""))
    assert token is not None
    assert (token.claims.attestation, token.claims.orig.tn) == ("B", "12025559999")


def test_a_wrong_signature_is_refused_and_where_it_is_only_marked_the_vendor_is_told(parties: Parties) -> None:
    callee = parties.stage.number("4410")
    value = parties.network.signer.shaken("12025550100", callee, Attestation.FULL, "x", now_s() - 90)
    line = f"Identity: {value}"
    assert parties.verified(parties.other, callee, line) == (403, None)
    record = parties.stage.record_of(callee)
    assert (record["end_reason"], record["sip_code"], record["verstat"]) == (
        "Identity Invalid", 403, "TN-Validation-Failed",
    )  # fmt: skip
    told = parties.stage.daemon.succeed("why", "--callee", callee)
    assert "signature" in told
    assert "403: signed " in told
    assert parties.verified(parties.other, callee) == (428, None)
    status, invite = parties.verified(parties.marked, callee, line)
    assert status == 486
    assert ";verstat=TN-Validation-Failed@" in invite["P-Asserted-Identity"]
    status, invite = parties.verified(parties.marked, callee)
    assert ";verstat=No-TN-Validation@" in invite["P-Asserted-Identity"]


def test_a_certificate_that_cannot_be_had_is_another_code_than_one_that_is_not_trusted(parties: Parties) -> None:
    at_s = now_s()
    for path, page, code in (("/gone.pem", Page(b"", 404), 436), ("/false.pem", None, 437)):
        unknown = Sti(time.time_ns() // 1_000_000).issue(url=f"https://{CERTIFICATE_SERVER}{path}")
        parties.server.pages[path] = page or Page(unknown.chain)
        callee = parties.stage.number("4410")
        value = unknown.signer.shaken("12025550100", callee, Attestation.FULL, "x", at_s)
        assert parties.verified(parties.other, callee, f"Identity: {value}") == (code, None)


def test_a_reload_signs_by_another_key(parties: Parties) -> None:
    before = parties.signed_for()["Identity"]
    assert f"info=<https://{CERTIFICATE_SERVER}/signing.pem>" in before
    kept = {file: (parties.directory / file).read_bytes() for file in ("signing.key", "signing.pem")}
    write_key(parties.directory, parties.sti.issue())
    parties.stage.daemon.succeed("reload")
    invite = parties.signed_for()
    callee = invite["To"].partition("sip:")[2].partition("@")[0]
    line = f"Identity: {invite['Identity']}"
    assert parties.verified(parties.other, callee, line) == (438, None), "the server still has the other certificate"
    for file, content in kept.items():
        (parties.directory / file).write_bytes(content)
    parties.stage.daemon.succeed("reload")


def test_the_explanation_of_a_route_says_what_would_be_attested(parties: Parties) -> None:
    found = parties.stage.daemon.ask(
        "route", "explain", "--gateway", "acme-pbx", "--caller", "12025550100", "--callee", "4410123"
    )
    attested = {each["routing_gateway"]: each.get("attestation") for each in found["candidates"]}
    assert attested == {"carrier-a": "A"}
    found = parties.stage.daemon.ask(
        "route", "explain", "--gateway", "other-network", "--caller", "12025550100", "--callee", "4410123"
    )
    assert found["unasked"] == ["stir.verify"]


def test_a_test_call_is_signed_as_one_of_no_customer(parties: Parties) -> None:
    words = "call", "test", "--callee", parties.stage.number("4410"), "--via", "carrier-a", "--caller", "12025550100"
    with ThreadPoolExecutor(1) as pool:
        verb = pool.submit(parties.stage.daemon.verb, *words)
        token = read(parties.invited(parties.a)["Identity"], SignedAbout("", "", ""))
        verb.result(60)
    assert token is not None
    assert (token.claims.attestation, token.claims.orig.tn) == ("C", "12025550100")
