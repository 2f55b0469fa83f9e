"""Certificates of signers: fetched once for many calls, kept as long as their server says, within bounds."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from threading import Event, Semaphore
from typing import Any

import pytest
from doubles.certificate_server import CertificateServer, Page
from doubles.certificates import Authority
from doubles.silent_names import SilentNames
from doubles.sti import UNREADABLE_CLAIMS, VIRTUAL_NOW_MS, Sti, constraints, usual
from doubles.turns import until
from doubles.virtual.clock import ManualClock

from vosd.b2bua.ports import SetupAnswer
from vosd.callcontrol.questions import Ticket
from vosd.callcontrol.signatures import Certificates, WhichCertificates
from vosd.engine import http_client
from vosd.engine.host_names import HostNames
from vosd.engine.lookups import certificates as module
from vosd.engine.lookups.asker import Lookups
from vosd.engine.lookups.certificates import BODY_MAX, STALE_MS, TRUST_MS, CertificateStore, kept_for
from vosd.engine.lookups.sip_question import Wiring
from vosd.engine.settings import CertificateSettings, LookupSettings
from vosd.processes.handshake_limits import CHAIN_MAX
from vosd.processes.key_exchange import use_groups
from vosd.stir.certificates import SigningCertificate
from vosd.stir.errors import BadIdentityInfoError, IdentityError, InvalidIdentityError, UnsupportedCredentialError
from vosd.stir.extensions import CONSTRAINT_OIDS
from vosd.stir.passport import SHAKEN, Claims, Passport
from vosd.stir.signing import Signer
from vosd.stir.terms import Attestation, Numbering, VerifyTerms
from vosd.stir.verification import ReadSignature, SignedCall, confirm, read_signature

PATIENCE_S = 20
HOST = "certificates.example.com"
CHAIN = Page(usual()[1].chain)


def question_of(*addresses: str, trunk: str) -> WhichCertificates:
    """Return the question of a call with one chain of tokens that needs all these certificates, and is never right."""
    chain = tuple(Passport(SHAKEN, each, Claims(), b"", b"") for each in addresses)
    return WhichCertificates(ReadSignature((chain,)), trunk, VIRTUAL_NOW_MS)


def signed_question(*addresses: str, key: str = usual()[1].key) -> WhichCertificates:
    """Return the question of a call with one token for each address, the first of which is signed with ``key``."""
    return question_about(*identity_values(*addresses, key=key))


def identity_values(*addresses: str, key: str) -> list[str]:
    """Return tokens with these addresses of certificates, the first of which is signed with ``key``."""
    keys = [key, *[usual()[1].key] * (len(addresses) - 1)]
    return [
        Signer(each, address).shaken("12025550100", "442079460000", Attestation.FULL, "t", VIRTUAL_NOW_MS // 1_000)
        for each, address in zip(keys, addresses, strict=True)
    ]


def question_about(*values: str) -> WhichCertificates:
    """Return the question of a call with these Identity headers."""
    call = SignedCall(values, "12025550100", "442079460000")
    return WhichCertificates(read_signature(call, VIRTUAL_NOW_MS, VerifyTerms(), Numbering()), "acme", VIRTUAL_NOW_MS)


class Fetching:
    """A store on a server, and the answers that calls get."""

    def __init__(self, server: CertificateServer, **terms: Any) -> None:
        self.server = server
        self.clock = ManualClock()
        settings = {"roots": (usual()[0].root_pem,), "allow_private": True, "timeout_ms": 15_000, **terms}
        self.settings = CertificateSettings(**settings)
        self.store = CertificateStore(self.clock, self.settings)
        self.answers: asyncio.Queue[tuple[Ticket, SetupAnswer]] = asyncio.Queue()
        self.store.wiring = Wiring(None, None, lambda *answer: self.answers.put_nowait(answer), None)  # type: ignore[arg-type]

    async def ask(self, *paths: str, call: str = "1", trunk: str = "acme") -> list[SigningCertificate | IdentityError]:
        """Return the certificates at these paths, or at whole addresses."""
        addresses = tuple(self.server.url(path) if path.startswith("/") else path for path in paths)
        found = self.store.ask(Ticket(call, 1), question_of(*addresses, trunk=trunk))
        if found is None:
            ticket, answer = await asyncio.wait_for(self.answers.get(), PATIENCE_S)
            assert isinstance(answer, Certificates)
            assert ticket == Ticket(call, 1)
            found = answer
        return [found.found[address] for address in addresses]

    def begin(self, *addresses: str) -> None:
        """Ask for a call for each address, of which it is the Call-ID; all wait."""
        for address in addresses:
            assert self.store.ask(Ticket(address, 1), question_of(address, trunk="acme")) is None

    async def answered(self) -> tuple[str, SigningCertificate | IdentityError]:
        """Return the next address of which a call has the answer, and what it is."""
        ticket, answer = await asyncio.wait_for(self.answers.get(), PATIENCE_S)
        assert isinstance(answer, Certificates)
        return ticket.call_id, answer.found[ticket.call_id]

    async def refreshed(self) -> None:
        """Wait for the fetches that go on beside calls."""
        await asyncio.wait_for(asyncio.gather(*self.store._open.values()), PATIENCE_S)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def server(tls: Authority, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[CertificateServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.root.file))
    monkeypatch.setattr(module, "_NAMES", HostNames(module.OPEN_MAX, "names", kept_s=module.NAME_KEPT_S))
    with CertificateServer(tls.server_context(tls.issue("certificates", "127.0.0.1", HOST))) as found:
        found.pages["/a"] = CHAIN
        yield found


async def test_many_calls_share_one_fetch_and_those_that_follow_need_none(server: CertificateServer) -> None:
    fetching = Fetching(server)
    question = question_of(server.url("/a"), trunk="acme")
    tickets = [Ticket(str(call), 1) for call in range(20)]
    assert [fetching.store.ask(ticket, question) for ticket in tickets] == [None] * 20
    fetching.store.cancel(tickets.pop())
    told = [await asyncio.wait_for(fetching.answers.get(), PATIENCE_S) for _ in tickets]
    assert [ticket for ticket, _ in told] == tickets
    (found,) = await fetching.ask("/a", call="later")
    assert isinstance(found, SigningCertificate)
    assert server.asked == ["/a"]
    assert len(fetching.store) == 0


async def test_no_server_has_calls_wait_for_a_handshake_over_a_finite_field(server: CertificateServer, tls: Authority):
    context = tls.server_context(tls.issue("slow", "127.0.0.1"))
    assert use_groups(context, "ffdhe8192")
    with CertificateServer(context) as slow:
        slow.pages["/a"] = CHAIN
        (refused,) = await Fetching(slow).ask("/a")
        assert isinstance(refused, BadIdentityInfoError)
        assert not slow.asked


async def test_no_server_has_calls_wait_for_its_chain_to_be_read(server: CertificateServer, tls: Authority):
    shown = tls.issue("long", "127.0.0.1")
    with shown.file.open("a") as file:
        file.write(tls.root.file.read_text() * CHAIN_MAX)
    with CertificateServer(tls.server_context(shown)) as slow:
        slow.pages["/a"] = CHAIN
        (refused,) = await Fetching(slow).ask("/a")
        assert isinstance(refused, BadIdentityInfoError)
        assert not slow.asked


async def test_a_call_with_several_certificates_waits_for_all_of_them(server: CertificateServer) -> None:
    server.pages["/b"] = Page(usual()[0].issue().chain)
    fetching = Fetching(server)
    await fetching.ask("/a")
    first, second, missing = await fetching.ask("/a", "/b", "/c")
    assert isinstance(first, SigningCertificate)
    assert isinstance(second, SigningCertificate)
    assert isinstance(missing, BadIdentityInfoError)
    assert sorted(server.asked) == ["/a", "/b", "/c"]


async def test_a_call_with_a_token_that_is_right_waits_for_no_other_certificate(server: CertificateServer) -> None:
    fetching = Fetching(server)
    await fetching.ask("/a")
    server.may_answer.clear()
    for call in range(module.TRUNK_MAX + 2):
        right, silent = server.url("/a"), server.url(f"/silent{call}")
        for addresses in ((right, silent), (silent, right)):
            found = fetching.store.ask(Ticket(f"{call}", 1), signed_question(*addresses))
            assert found is not None
            assert isinstance(found.found[right], SigningCertificate)
    assert len(fetching.store) == 0, "no call waits for them"


async def test_tokens_of_calls_that_wait_are_verified_once_and_not_when_a_fetch_fails(
    server: CertificateServer, tls: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Passport] = []
    check = SigningCertificate.check

    def counted(certificate: SigningCertificate, passport: Passport, at_ms: int) -> None:
        checked.append(passport)
        check(certificate, passport, at_ms)

    monkeypatch.setattr(SigningCertificate, "check", counted)
    fetching, calls = Fetching(server), 20
    await fetching.ask("/a")
    with CertificateServer(tls.server_context(tls.issue("late", "127.0.0.1"))) as late:
        late.pages["/b"] = CHAIN
        late.may_answer.clear()
        addresses = server.url("/a"), server.url("/gone"), late.url("/b")
        wrong = usual()[0].issue().key
        questions = {Ticket(str(call), 1): signed_question(*addresses, key=wrong) for call in range(calls)}
        for ticket, question in questions.items():
            assert fetching.store.ask(ticket, question) is None
        assert len(checked) == calls, "the token that is wrong"
        await asyncio.wait_for(fetching.store._open[addresses[1]], PATIENCE_S)
        assert (len(checked), fetching.store.failed_total, fetching.answers.qsize()) == (calls, 1, 0)
        late.may_answer.set()
        for _ in range(calls):
            ticket, answer = await asyncio.wait_for(fetching.answers.get(), PATIENCE_S)
            assert isinstance(answer, Certificates)
            signature = questions[ticket].signature
            assert confirm(signature, answer.found, VIRTUAL_NOW_MS).chains == signature.chains[2:]
        assert len(checked) == 2 * calls


async def test_a_call_that_waits_goes_on_when_the_first_of_its_tokens_is_right(
    server: CertificateServer, tls: Authority
) -> None:
    fetching = Fetching(server)
    with CertificateServer(tls.server_context(tls.issue("silent", "127.0.0.1"))) as silent:
        silent.may_answer.clear()
        addresses = silent.url("/b"), server.url("/a")
        assert fetching.store.ask(Ticket("1", 1), signed_question(*addresses)) is None
        _, answer = await asyncio.wait_for(fetching.answers.get(), PATIENCE_S)
        assert isinstance(answer, Certificates)
        assert [*answer.found] == [addresses[1]]
        assert len(fetching.store) == 1
        fetching.store.stop()


async def test_a_call_whose_first_token_is_wrong_waits_for_the_certificates_of_the_others(
    server: CertificateServer,
) -> None:
    server.pages["/b"] = CHAIN
    fetching = Fetching(server)
    await fetching.ask("/a")
    question = signed_question(server.url("/a"), server.url("/b"), key=usual()[0].issue().key)
    assert fetching.store.ask(Ticket("1", 1), question) is None
    _, answer = await asyncio.wait_for(fetching.answers.get(), PATIENCE_S)
    assert isinstance(answer, Certificates)
    assert question.is_enough(answer.found)


@pytest.mark.parametrize("claim", UNREADABLE_CLAIMS)
async def test_calls_behind_one_with_a_claim_that_cannot_be_read_get_the_certificate(
    server: CertificateServer, tls: Authority, claim: bytes
) -> None:
    issued = usual()[0].issue(extensions={CONSTRAINT_OIDS[0]: constraints(permitted={"attest": ("A",)})})
    server.pages["/a"] = Page(issued.chain)
    fetching = Fetching(server)
    with CertificateServer(tls.server_context(tls.issue("silent", "127.0.0.1"))) as silent:
        silent.may_answer.clear()
        addresses = server.url("/a"), silent.url("/b")
        values = identity_values(*addresses, key=issued.key)
        wrong = question_about(issued.with_claim(values[0], claim), *values[1:])
        assert fetching.store.ask(Ticket("wrong", 1), wrong) is None
        good = [Ticket(str(call), 1) for call in range(3)]
        for ticket in good:
            assert fetching.store.ask(ticket, question_about(values[0])) is None
        answered = [await asyncio.wait_for(fetching.answers.get(), PATIENCE_S) for _ in good]
        assert [ticket for ticket, _ in answered] == good
        with pytest.raises(InvalidIdentityError, match="malformed"):
            confirm(question_about(issued.with_claim(values[0], claim)).signature, answered[0][1].found, VIRTUAL_NOW_MS)
        fetching.store.stop()


async def test_a_token_is_judged_by_the_renewed_certificate_that_came_while_its_call_waited(
    server: CertificateServer, tls: Authority
) -> None:
    fetching = Fetching(server)
    await fetching.ask("/a")
    renewed = usual()[0].issue()
    server.pages["/a"] = Page(renewed.chain)
    fetching.clock.move_to(fetching.clock.now().mono + 1_000 * fetching.settings.cache_ttl_s)
    with CertificateServer(tls.server_context(tls.issue("late", "127.0.0.1"))) as late:
        late.may_answer.clear()
        question = signed_question(server.url("/a"), late.url("/gone"), key=renewed.key)
        assert fetching.store.ask(Ticket("1", 1), question) is None
        assert not question.is_enough({server.url("/a"): fetching.store._kept[server.url("/a")][0]}), "the old one"
        _, answer = await asyncio.wait_for(fetching.answers.get(), PATIENCE_S)
        assert [*fetching.store._open] == [late.url("/gone")], "the call has not waited for it"
        fetching.store.stop()
    assert isinstance(answer, Certificates)
    assert confirm(question.signature, answer.found, VIRTUAL_NOW_MS).chains == question.signature.chains[:1]


async def test_a_call_whose_only_token_is_wrong_by_a_certificate_that_is_fetched_again_is_judged_by_the_renewed_one(
    server: CertificateServer,
) -> None:
    fetching = Fetching(server)
    await fetching.ask("/a")
    renewed = usual()[0].issue()
    server.pages["/a"] = Page(renewed.chain)
    fetching.clock.move_to(fetching.clock.now().mono + 1_000 * fetching.settings.cache_ttl_s)
    server.may_answer.clear()
    by_old, by_new = (signed_question(server.url("/a"), key=key) for key in (usual()[1].key, renewed.key))
    assert fetching.store.ask(Ticket("1", 1), by_new) is None
    assert fetching.store.ask(Ticket("2", 1), by_old) is not None
    server.may_answer.set()
    ticket, answer = await asyncio.wait_for(fetching.answers.get(), PATIENCE_S)
    assert ticket == Ticket("1", 1)
    assert isinstance(answer, Certificates)
    assert confirm(by_new.signature, answer.found, VIRTUAL_NOW_MS).chains == by_new.signature.chains
    assert server.asked == ["/a"] * 2


async def test_a_certificate_is_fetched_again_when_its_time_is_over_and_stays_while_that_fails(
    server: CertificateServer,
) -> None:
    server.pages["/a"] = Page(CHAIN.body, headers=(("Cache-Control", "public, max-age=60"),))
    fetching = Fetching(server)
    for after_ms in (0, 59_999):
        fetching.clock.move_to(1_000_000 + after_ms)
        await fetching.ask("/a")
    assert len(server.asked) == 1
    server.pages["/a"] = Page(b"", 503)
    for number, at_ms in enumerate((1_060_000, 1_070_000), 1):
        fetching.clock.move_to(at_ms)
        (found,) = await fetching.ask("/a")
        assert isinstance(found, SigningCertificate)
        await fetching.refreshed()
        assert (fetching.store.failed_total, len(server.asked)) == (number, 1 + number)
    server.pages["/a"] = Page(b"<html>Under maintenance</html>")
    fetching.clock.move_to(1_080_000)
    await fetching.ask("/a")
    await fetching.refreshed()
    (found,) = await fetching.ask("/a")
    assert isinstance(found, SigningCertificate)
    server.pages["/a"] = Page(Sti(VIRTUAL_NOW_MS).issue().chain)
    fetching.clock.move_to(1_090_000)
    await fetching.ask("/a")
    await fetching.refreshed()
    (found,) = await fetching.ask("/a")
    assert isinstance(found, UnsupportedCredentialError)
    assert len(server.asked) == 5


@pytest.mark.parametrize(("late_ms", "waits"), [(0, False), (STALE_MS - 1, False), (STALE_MS, True)])
async def test_a_call_does_not_wait_for_a_certificate_that_is_fetched_again(
    server: CertificateServer, late_ms: int, waits: bool
) -> None:
    server.pages["/a"] = Page(CHAIN.body, headers=(("Cache-Control", "max-age=60"),))
    fetching = Fetching(server)
    await fetching.ask("/a")
    fetching.clock.move_to(1_060_000 + late_ms)
    server.may_answer.clear()
    question = signed_question(server.url("/a"))
    for call in ("first", "second"):
        assert (fetching.store.ask(Ticket(call, 1), question) is None) is waits
    assert len(fetching.store) == 1
    server.may_answer.set()
    await fetching.refreshed()
    assert len(server.asked) == 2
    assert isinstance(fetching.store.ask(Ticket("third", 1), question), Certificates)


async def test_a_call_that_waits_for_one_certificate_does_not_wait_for_another_that_is_fetched_again(
    server: CertificateServer, tls: Authority
) -> None:
    server.pages["/a"] = Page(CHAIN.body, headers=(("Cache-Control", "max-age=60"),))
    fetching = Fetching(server)
    await fetching.ask("/a")
    fetching.clock.move_to(1_060_000)
    with CertificateServer(tls.server_context(tls.issue("others", "127.0.0.1"))) as other:
        other.pages["/b"] = CHAIN
        server.may_answer.clear()
        base = Signer(usual()[1].key, server.url("/a"))
        diverted = Signer(usual()[1].key, other.url("/b"))
        question = question_about(
            base.shaken("12025550100", "12025550111", Attestation.FULL, "t", VIRTUAL_NOW_MS // 1_000),
            diverted.diverted("12025550100", "12025550111", "442079460000", VIRTUAL_NOW_MS // 1_000),
        )
        assert fetching.store.ask(Ticket("1", 1), question) is None
        _, answer = await asyncio.wait_for(fetching.answers.get(), PATIENCE_S)
        assert isinstance(answer, Certificates)
        assert confirm(question.signature, answer.found, VIRTUAL_NOW_MS).chains == question.signature.chains
        assert len(fetching.store) == 1
    server.may_answer.set()
    await fetching.refreshed()


@pytest.mark.parametrize(
    ("order", "is_found"),
    [
        (("127.0.0.1", "127.0.0.2"), True),
        (("127.0.0.2", "127.0.0.1"), True),
        (("127.0.0.3", "127.0.0.2", "127.0.0.1"), True),
        (("127.0.0.3", "127.0.0.4"), False),
    ],
)
async def test_of_several_addresses_of_a_host_the_next_is_tried_while_one_is_silent(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...], is_found: bool
) -> None:
    """127.0.0.2 accepts connections and says nothing; those behind it refuse them."""
    real, port = socket.getaddrinfo, server.server_address[1]

    def look_up(host: str, *terms: Any, **named: Any) -> list[Any]:
        if host != HOST:
            return real(host, *terms, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in order]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(http_client, "NEXT_ADDRESS_S", 0.01)
    with socket.create_server(("127.0.0.2", port)):
        (found,) = await Fetching(server).ask(f"https://{HOST}:{port}/a")
    assert isinstance(found, SigningCertificate if is_found else BadIdentityInfoError)


@pytest.mark.parametrize("status", [404, 410])
async def test_a_certificate_that_was_withdrawn_at_its_server_is_trusted_no_more(
    server: CertificateServer, status: int
) -> None:
    server.pages["/a"] = Page(CHAIN.body, headers=(("Cache-Control", "max-age=60"),))
    fetching = Fetching(server)
    await fetching.ask("/a")
    fetching.clock.move_to(1_060_000)
    server.pages["/a"] = Page(b"", status)
    at_once = fetching.store.ask(Ticket("1", 1), signed_question(server.url("/a")))
    assert at_once is not None, "the call has not waited"
    assert isinstance(at_once.found[server.url("/a")], SigningCertificate)
    await fetching.refreshed()
    (found,) = await fetching.ask("/a")
    assert isinstance(found, BadIdentityInfoError)
    fetching.clock.move_to(1_070_000)
    server.pages["/a"] = Page(b"", 503)
    (found,) = await fetching.ask("/a")
    assert isinstance(found, BadIdentityInfoError), "it is not remembered behind the failure"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], 3_600),
        ([("Cache-Control", "max-age=60")], 60),
        ([("Cache-Control", "no-transform, Max-Age=60")], 60),
        ([("Cache-Control", "max-age=1000000")], 3_600),
        ([("Cache-Control", "max-age=1")], 10),
        ([("Cache-Control", "max-age=" + "9" * 100)], 10),
        ([("Cache-Control", "max-age=x")], 10),
        ([("Cache-Control", "max-age=60"), ("Age", "45")], 15),
        ([("Cache-Control", "max-age=60"), ("Age", "x")], 60),
        ([("Cache-Control", "no-store, max-age=60")], 10),
        ([("Expires", "Mon, 21 Sep 2026 14:15:20 GMT")], 120),
        ([("Expires", "Mon, 21 Sep 2020 14:15:20 GMT")], 10),
        ([("Expires", "0")], 10),
        ([("Expires", "Mon, 21 Sep 2026 14:15:20 GMT"), ("Cache-Control", "max-age=60")], 60),
    ],
)
def test_how_long_a_certificate_is_kept(headers: list[tuple[str, str]], seconds: int) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    assert kept_for(raw, VIRTUAL_NOW_MS, 3_600_000) == 1_000 * seconds


@pytest.mark.parametrize(
    ("page", "kind", "why"),
    [
        (Page(b"", 404), BadIdentityInfoError, "answers 404"),
        (Page(b"", 302, (("Location", "/a"),)), BadIdentityInfoError, "answers 302"),
        (Page(b"", 200), BadIdentityInfoError, "no certificate"),
        (Page(b"x" * (BODY_MAX + 1)), BadIdentityInfoError, f"more than {BODY_MAX} bytes"),
        (Page(b"<html>"), BadIdentityInfoError, "no certificate"),
        (Page(Sti(VIRTUAL_NOW_MS).issue().chain), UnsupportedCredentialError, "not trusted"),
    ],
)
async def test_what_is_no_certificate_is_remembered_a_while(
    server: CertificateServer, page: Page, kind: type[IdentityError], why: str
) -> None:
    server.pages["/b"] = page
    fetching = Fetching(server)
    for _ in range(2):
        (found,) = await fetching.ask("/b")
        assert isinstance(found, kind)
        assert why in str(found)
    assert server.asked == ["/b"]
    fetching.clock.move_to(1_010_000)
    await fetching.ask("/b")
    assert len(server.asked) == 2


async def test_a_server_that_is_silent_is_given_up(server: CertificateServer) -> None:
    server.may_answer.clear()
    (found,) = await Fetching(server, timeout_ms=100).ask("/a")
    assert isinstance(found, BadIdentityInfoError)
    assert "in time" in str(found)


async def test_a_server_must_prove_its_name(server: CertificateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    (found,) = await Fetching(server).ask("/a")
    assert isinstance(found, BadIdentityInfoError)
    assert server.asked == []


async def test_the_systems_trust_is_read_once_an_hour_however_many_addresses_callers_name(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the time of some hundred calls, and has failed where a file could not be read."""
    read: list[ssl.SSLContext | OSError] = []
    real = ssl.create_default_context

    def counted(**_: None) -> ssl.SSLContext:
        read.append(OSError("no file") if not read else real())
        if isinstance(read[-1], OSError):
            raise read[-1]
        return read[-1]

    monkeypatch.setattr(ssl, "create_default_context", counted)
    fetching = Fetching(server)
    (failed,) = await fetching.ask("/first")
    assert isinstance(failed, BadIdentityInfoError)
    for number in range(5):
        await fetching.ask(f"/{number}", f"/{number}/other")
    assert (len(read), len(server.asked)) == (2, 10)
    fetching.clock.move_to(fetching.clock.now().mono + TRUST_MS)
    await fetching.ask("/late")
    assert len(read) == 3


@pytest.mark.parametrize(
    "address",
    [
        "http://203.0.113.7/a",
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://10.0.0.1/a",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/a",
        "https://localhost/a",
        "https://203.0.113.7:22/a",
        "https://203.0.113.7:99999/a",
        "https://user@203.0.113.7/a",
        "https:///a",
        "https://[/a",
        "https://203.0.113.7/a b",
        "ftp://203.0.113.7/a",
        "file:///etc/passwd",
        "",
    ],
)
async def test_addresses_that_are_not_asked(server: CertificateServer, address: str) -> None:
    (found,) = await Fetching(server, allow_private=False).ask(address)
    assert isinstance(found, BadIdentityInfoError)


async def test_no_more_than_so_many_are_fetched_at_once(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUED_MAX", 0)
    monkeypatch.setattr(module, "OPEN_MAX", 12)
    monkeypatch.setattr(module, "HOST_MAX", 8)
    monkeypatch.setattr(module, "TRUNK_MAX", 5)
    server.may_answer.clear()
    fetching = Fetching(server)
    _, _, port = server.url("").rpartition(":")
    asked = 0

    def begin(host: str, trunk: str, count: int) -> None:
        nonlocal asked
        for _ in range(count):
            asked += 1
            question = question_of(f"https://{host}:{port}/{asked}", trunk=trunk)
            assert fetching.store.ask(Ticket(str(asked), 1), question) is None

    begin("127.0.0.1", "acme", 5)
    for host in ("127.0.0.1", "127.0.0.2"):
        (found,) = await fetching.ask(f"https://{host}:{port}/more")
        assert "for calls of this trunk" in str(found)
    begin("127.0.0.1", "other", 3)
    (found,) = await fetching.ask("/more", trunk="other")
    assert "from 127.0.0.1" in str(found)
    begin("127.0.0.2", "other", 2)
    begin("127.0.0.3", "third", 2)
    (found,) = await fetching.ask(f"https://127.0.0.4:{port}/more", trunk="third")
    assert str(found) == "too many certificates are being fetched"
    fetching.store.give_up()
    told = [await asyncio.wait_for(fetching.answers.get(), PATIENCE_S) for _ in range(12)]
    assert all(isinstance(answer, Certificates) for _, answer in told)
    server.may_answer.set()
    (found,) = await fetching.ask("/a")
    assert isinstance(found, SigningCertificate), "there is room again"


async def test_calls_wait_for_room_as_long_as_they_wait_for_certificates(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRUNK_MAX", 1)
    server.may_answer.clear()
    server.pages |= {f"/{number}": CHAIN for number in range(4)}
    fetching = Fetching(server)
    for number in range(4):
        question = question_of(server.url(f"/{number}"), server.url("/0"), trunk="acme")
        assert fetching.store.ask(Ticket(str(number), 1), question) is None
    fetching.store.cancel(Ticket("2", 1))
    server.may_answer.set()
    told = [await asyncio.wait_for(fetching.answers.get(), PATIENCE_S) for _ in range(3)]
    assert [ticket.call_id for ticket, _ in told] == ["0", "1", "3"]
    for _, answer in told:
        assert all(isinstance(each, SigningCertificate) for each in answer.found.values())
    assert server.asked == ["/0", "/1", "/3"], "no call waits for /2 any more"


async def test_a_trunk_leaves_others_room_to_wait(server: CertificateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TRUNK_MAX", 0)
    fetching = Fetching(server)
    most = module.TRUNK_QUEUED_MAX
    asked = [
        fetching.store.ask(Ticket(f"{trunk} {number}", 1), question_of(server.url(f"/{trunk}{number}"), trunk=trunk))
        for trunk in ("acme", "other")
        for number in range(most + 1)
    ]
    waits = [each is None for each in asked]
    assert waits == 2 * [*most * [True], False]
    again = question_of(server.url("/acme0"), trunk="acme")
    assert fetching.store.ask(Ticket("again", 1), again) is None, "another call waits for the same certificate"


async def test_an_address_that_has_waited_in_vain_is_fetched_for_a_later_call(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching = Fetching(server)
    with monkeypatch.context() as full:
        full.setattr(module, "TRUNK_MAX", 0)
        given_up = Ticket("given up", 1)
        assert fetching.store.ask(given_up, question_of(server.url("/a"), trunk="acme")) is None
        fetching.store.cancel(given_up)
    (found,) = await fetching.ask("/a")
    assert isinstance(found, SigningCertificate)


async def test_a_certificate_whose_time_is_over_stays_while_there_is_no_room_to_fetch_it(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["/a"] = Page(CHAIN.body, headers=(("Cache-Control", "public, max-age=60"),))
    fetching = Fetching(server)
    await fetching.ask("/a")
    fetching.clock.move_to(1_060_000 + STALE_MS)
    monkeypatch.setattr(module, "TRUNK_MAX", 0)
    monkeypatch.setattr(module, "QUEUED_MAX", 0)
    for address, kind in (("/a", SigningCertificate), ("/b", BadIdentityInfoError)):
        (found,) = await fetching.ask(address)
        assert isinstance(found, kind)
    assert server.asked == ["/a"]


async def test_a_name_server_that_is_silent_keeps_the_places_of_its_trunk_only(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRUNK_MAX", 2)
    monkeypatch.setattr(module, "QUEUED_MAX", 0)
    may_answer, is_asked = Event(), Semaphore(0)

    def look_up(*_: object, **__: object) -> list[object]:
        is_asked.release()
        may_answer.wait(PATIENCE_S)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    fetching = Fetching(server, timeout_ms=100)
    try:
        for host in ("a", "b"):
            fetching.begin(f"https://{host}.example.com/x")
            assert await asyncio.to_thread(is_asked.acquire, timeout=PATIENCE_S)
        for _ in range(2):
            await fetching.answered()
        (found,) = await fetching.ask("https://c.example.com/x")
        assert "for calls of this trunk" in str(found), "their threads are still occupied"
        patient = Fetching(server)
        patient.store._places, patient.store._names = fetching.store._places, fetching.store._names
        (found,) = await patient.ask("/a", trunk="other")
        assert isinstance(found, SigningCertificate)
    finally:
        may_answer.set()
    await until(lambda: not fetching.store._taken())


async def test_a_name_that_is_not_found_leaves_room_for_other_hosts_of_its_trunk(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many signers may have their certificates at one host."""
    resolver = SilentNames(monkeypatch)
    resolver.dead = {"dead.example"}
    fetching, port = Fetching(server, timeout_ms=200), server.server_address[1]
    patient = Fetching(server)
    try:
        dead = [f"https://dead.example/{number}" for number in range(module.TRUNK_MAX + 4)]
        for address in dead:
            assert fetching.store.ask(Ticket(address, 1), question_of(address, trunk="acme")) is None
        assert len(fetching.store) == module.NAME_MAX
        patient.store._places = fetching.store._places
        (found,) = await patient.ask(f"https://{HOST}:{port}/a")
        assert isinstance(found, SigningCertificate)
        told = [await asyncio.wait_for(fetching.answers.get(), PATIENCE_S) for _ in dead]
        assert {ticket.call_id for ticket, _ in told} == {*dead}, "those that waited for room, too"
        (found,) = await fetching.ask("https://dead.example/another")
        assert str(found) == "the name servers do not answer for dead.example", "the call has not waited"
        assert len(fetching.store._taken()) == 1, "one thread is occupied"
        assert resolver.asked["dead.example"] == 1
    finally:
        resolver.released.set()
    await until(lambda: not fetching.store._taken())
    resolver.dead = set()
    patient.server.pages["/b"] = CHAIN
    (found,) = await patient.ask(f"https://dead.example:{port}/b")
    assert "certificate" in str(found), "it is asked again, and shows a certificate of another name"


async def test_calls_behind_the_look_up_of_a_host_go_on_when_it_ends(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages are slow: none has been fetched when the next ones are asked for."""
    resolver = SilentNames(monkeypatch)
    resolver.slow = {HOST}
    addresses = [f"https://{HOST}:{server.server_address[1]}/{number}" for number in range(24)]
    server.pages = {f"/{number}": CHAIN for number in range(24)}
    server.may_answer.clear()
    fetching = Fetching(server)
    fetching.begin(*addresses)
    assert len(fetching.store) == module.NAME_MAX
    await until(lambda: resolver.asked[HOST] == 1)
    resolver.released.set()
    await until(lambda: len(server.asked) == module.TRUNK_MAX)
    server.may_answer.set()
    found = dict([await fetching.answered() for _ in addresses])
    assert found.keys() == {*addresses}
    assert all(isinstance(each, SigningCertificate) for each in found.values())
    assert resolver.asked[HOST] == 1


async def test_a_call_does_not_wait_for_other_pages_of_a_host_when_its_name_has_been_looked_up(
    server: CertificateServer, tls: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = SilentNames(monkeypatch)
    resolver.slow = {HOST}
    fetching = Fetching(server)
    with CertificateServer(tls.server_context(tls.issue("silent", HOST))) as silent:
        silent.may_answer.clear()
        fetching.begin(*(f"https://{HOST}:{silent.server_address[1]}/{number}" for number in range(module.NAME_MAX)))
        fetching.begin(good := f"https://{HOST}:{server.server_address[1]}/a")
        resolver.released.set()
        address, found = await fetching.answered()
        assert (address, type(found)) == (good, SigningCertificate)
        assert len(fetching.store) == module.NAME_MAX, "the others wait still"
        fetching.store.stop()


async def test_a_fetch_that_waits_for_room_begins_when_a_look_up_that_was_given_up_ends(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRUNK_MAX", 1)
    resolver = SilentNames(monkeypatch)
    resolver.dead = {"dead.example"}
    fetching = Fetching(server, timeout_ms=100)
    fetching.begin("https://dead.example/1")
    await fetching.answered()
    fetching.store.settings = replace(fetching.settings, timeout_ms=15_000)
    fetching.begin(good := server.url("/a"))
    assert len(fetching.store) == 0
    resolver.released.set()
    address, found = await fetching.answered()
    assert (address, type(found)) == (good, SigningCertificate)


async def test_a_host_whose_fetches_are_ended_by_a_reload_is_not_silent(
    server: CertificateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = SilentNames(monkeypatch)
    resolver.slow = {HOST}
    address = f"https://{HOST}:{server.server_address[1]}/a"
    before, after = Fetching(server), Fetching(server)
    before.begin(address)
    await until(lambda: resolver.asked[HOST] == 1)
    before.store.give_up()
    _, found = await before.answered()
    assert isinstance(found, BadIdentityInfoError)
    after.begin(address)
    resolver.released.set()
    _, found = await after.answered()
    assert isinstance(found, SigningCertificate)


async def test_the_oldest_is_forgotten_where_there_are_too_many(server: CertificateServer) -> None:
    server.pages["/b"], server.pages["/c"] = (Page(usual()[0].issue().chain) for _ in range(2))
    fetching = Fetching(server, cache_entries=2)
    for path in ("/a", "/b", "/c", "/a"):
        await fetching.ask(path)
    assert server.asked == ["/a", "/b", "/c", "/a"]


async def test_addresses_without_a_certificate_push_none_out(server: CertificateServer) -> None:
    fetching = Fetching(server, cache_entries=2)
    for path in ("/a", "/b", "/c", "/d", "/a"):
        await fetching.ask(path)
    assert server.asked == ["/a", "/b", "/c", "/d"]


async def test_a_reload_trusts_other_roots_at_once_and_keeps_what_is_the_same(server: CertificateServer) -> None:
    fetching = Fetching(server)
    lookups = Lookups(fetching.clock, LookupSettings(certificates=fetching.settings))
    store = lookups.certificates
    assert store is not None
    lookups.connect(fetching.store.wiring)  # type: ignore[arg-type]
    lookups.adjust(LookupSettings(certificates=CertificateSettings(**{
        name: getattr(fetching.settings, name) for name in CertificateSettings.__slots__
    })))  # fmt: skip
    assert lookups.certificates is store
    server.may_answer.clear()
    question = question_of(server.url("/a"), trunk="acme")
    assert lookups.ask(Ticket("1", 1), question) is None
    lookups.adjust(
        LookupSettings(certificates=CertificateSettings((Sti(VIRTUAL_NOW_MS).root_pem,), allow_private=True))
    )
    _, answer = await asyncio.wait_for(fetching.answers.get(), PATIENCE_S)
    assert isinstance(answer, Certificates)
    assert isinstance(answer.found[server.url("/a")], BadIdentityInfoError)
    server.may_answer.set()
    assert lookups.ask(Ticket("2", 1), question) is None
    _, answer = await asyncio.wait_for(fetching.answers.get(), PATIENCE_S)
    assert isinstance(answer, Certificates)
    assert isinstance(answer.found[server.url("/a")], UnsupportedCredentialError)
    lookups.adjust(LookupSettings())
    assert lookups.certificates is None
    assert not isinstance(lookups.ask(Ticket("3", 1), question), Certificates)
    lookups.stop()
