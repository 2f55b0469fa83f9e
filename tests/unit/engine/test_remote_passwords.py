"""Passwords that others judge: what waits, what a verdict leads to, and what it costs a guesser."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from doubles.data.builders import catalogue, credentials, mapping_gateway, phone
from doubles.sockets.login import Login
from doubles.sockets.loopback import Endpoint
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CALLEE, CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import answers

from vosd.engine.registration import authentication as module, guesses
from vosd.engine.registration.authentication import HELD_MAX, HeldRequest, PasswordVerdict
from vosd.engine.registration.guesses import OPEN_AT_ONE_PLACE_MAX
from vosd.radius.digest import DigestParts, digest_attributes
from vosd.radius.settings import DigestForm
from vosd.sip.auth_gate import BY_ADDRESS, Accepted, Challenged
from vosd.sip.digest.nonce import NonceStatus
from vosd.sip.digest.settings import LockOutSettings
from vosd.sip.drops import Drop

DESK = Endpoint("203.0.113.66", 41_234)
RIGHT = Login("1001", "whatever they have")
LOCAL = Login("1001", "secret")
OTHER = Login("1002", "secret")


class Judges:
    """Others who judge passwords, whenever the test says so."""

    def __init__(self, *, has_password: bool = True, users: Sequence[str] = (), **parameters) -> None:
        known = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
        proofs = {user: replace(credentials(user, "secret"), is_remote=True) for user in ("1001", *users)}
        if not has_password:
            proofs = {user: replace(proof, ha1={}) for user, proof in proofs.items()}
        remote = [phone(user, credentials=proof) for user, proof in proofs.items()]
        self.stage = Scene(catalogue(known, phones=[*remote, phone("1002")], **parameters))
        self.exchange = self.stage.exchange
        self.asked: list[HeldRequest] = []
        self.exchange.authenticator.ask_others = self.asked.append

    def client(self, address=DESK, number="1001"):
        return self.exchange.request_client(address, number)

    def judge(self, verdict: PasswordVerdict, terms: Accepted = BY_ADDRESS) -> None:
        held, now = self.asked[-1], self.exchange.clock.now()
        self.exchange.authenticator.judged(held, verdict, terms, now)
        event = self.exchange.endpoint.receive_datagram(bytes(held.request), held.source, now)
        if event is not None:
            self.exchange.switch.handle(event)
        self.exchange.flush()

    def call(self, login: Login = RIGHT):
        made = self.exchange.caller(DESK).call(CALLEE, Intent(login=login))
        self.stage.wire.run_for(500)
        return made


def test_a_call_waits_for_the_verdict_and_goes_on_by_it():
    judges = Judges()
    judges.stage.vendor.script = answers(100)
    judges.call()
    (held,) = judges.asked
    assert (held.username, held.proof.method, held.proof.realm, held.proof.is_right_here) == (
        "1001", "INVITE", "vosd", False,
    )  # fmt: skip
    assert judges.exchange.switch.calls() == ()
    assert judges.exchange.endpoint.census()["transactions"] == 0, "nothing is kept meanwhile"
    judges.judge(PasswordVerdict.RIGHT)
    judges.stage.wire.run_for(1_000)
    (live,) = judges.exchange.switch.calls()
    assert live.customer.name == "1001"
    assert live.call.journey.answered_at is not None
    assert len(judges.asked) == 1


def test_repetitions_while_it_waits_ask_nothing_more_and_get_no_answer():
    judges = Judges()
    judges.call()
    judges.stage.wire.run_for(8_000)  # the caller repeats its INVITE
    assert len(judges.asked) == 1
    judges.judge(PasswordVerdict.RIGHT)
    judges.stage.wire.run_for(1_000)
    assert len(judges.exchange.switch.calls()) == 1


def test_the_server_may_limit_the_call():
    judges = Judges()
    judges.stage.vendor.script = answers(100)
    judges.call()
    judges.judge(PasswordVerdict.RIGHT, Accepted(longest_s=30, interim_s=70, radius_classes=(b"gold",)))
    judges.stage.wire.run_for(1_000)
    (live,) = judges.exchange.switch.calls()
    assert live.call_request.interim_s == 70
    judges.stage.wire.run_for(40_000)
    record = judges.exchange.record
    assert (record.end_reason, record.hold_time_s) == ("Maximum Duration", 30)
    assert record.radius_class == "676f6c64"


@pytest.mark.parametrize("verdict", [PasswordVerdict.WRONG, PasswordVerdict.LOCAL])
def test_a_wrong_password_is_challenged_again_counts_as_a_guess_and_leaves_nothing(verdict):
    judges = Judges(lock_out=LockOutSettings(max_retry=2))
    authenticator = judges.exchange.authenticator
    client = judges.client()
    for _ in range(2):
        assert client.prove(Login("1001", "guess")) is None
        judges.judge(verdict)
        judges.stage.wire.run_for(100)
        assert client.heard[-1].status == 401
    proof, uses = judges.asked[0].proof, authenticator._verifier._uses
    status = uses.status_of(proof.claim.nonce, 9, "another guess", proof.issued_at, judges.exchange.clock.now().mono)
    assert status is NonceStatus.USED
    assert judges.exchange.endpoint.dropped[Drop.WRONG_CREDENTIALS] == 1
    assert judges.exchange.endpoint.dropped[Drop.LOCKED_OUT] == 1, "from the second on nothing is answered"
    assert [each.source for each in authenticator.locked_out(judges.exchange.clock.now())] == [DESK.host]
    assert judges.exchange.sink.records == []
    assert judges.exchange.switch.calls() == ()


def test_where_no_server_answers_the_own_password_decides_if_that_is_meant():
    judges = Judges()
    judges.stage.vendor.script = answers(100)
    judges.call(LOCAL)
    judges.judge(PasswordVerdict.LOCAL)
    judges.stage.wire.run_for(1_000)
    assert len(judges.exchange.switch.calls()) == 1


def test_where_no_server_answers_the_request_is_refused_and_is_no_guess():
    judges = Judges()
    client = judges.client()
    assert client.prove(RIGHT) is None
    judges.judge(PasswordVerdict.UNKNOWN)
    judges.stage.wire.run_for(1_000)
    assert (client.heard[-1].status, client.heard[-1]["Retry-After"]) == (503, "5")
    assert judges.exchange.endpoint.dropped[Drop.WRONG_CREDENTIALS] == 0


def test_a_user_without_a_password_here_guesses_nothing_while_the_servers_are_away():
    judges = Judges(has_password=False, lock_out=LockOutSettings(max_retry=2))
    client = judges.client()
    for _ in range(3):
        assert client.prove(RIGHT) is None
        judges.judge(PasswordVerdict.LOCAL)
        judges.stage.wire.run_for(1_000)
        assert client.heard[-1].status == 503
    assert judges.exchange.endpoint.dropped[Drop.WRONG_CREDENTIALS] == 0
    assert judges.exchange.authenticator.locked_out(judges.exchange.clock.now()) == []


def test_a_request_that_does_not_come_again_is_forgotten():
    judges = Judges()
    authenticator = judges.exchange.authenticator
    for port in (5_060, 5_062):
        assert judges.client(Endpoint("203.0.113.71", port)).prove(RIGHT) is None
    authenticator.judged(judges.asked[0], PasswordVerdict.RIGHT, BY_ADDRESS, judges.exchange.clock.now())
    judges.stage.wire.run_for(31_000)
    assert judges.client(Endpoint("203.0.113.72", 5_060)).prove(RIGHT) is None
    assert len(authenticator._held) == 3, "it may still be repeated"
    judges.stage.wire.run_for(2_000)
    assert judges.client(Endpoint("203.0.113.73", 5_060)).prove(RIGHT) is None
    assert [each.source.port for each in authenticator._held.values()] == [5_062, 5_060, 5_060]
    assert authenticator._judged == {}


def test_a_verdict_is_for_the_very_request_and_for_once():
    judges = Judges()
    judges.call()
    (held,) = judges.asked
    now, authenticator = judges.exchange.clock.now(), judges.exchange.authenticator
    authenticator.judged(held, PasswordVerdict.RIGHT, BY_ADDRESS, now)
    other = bytes(held.request).replace(b"PCMU", b"PCMA")
    assert other != bytes(held.request)
    receive = judges.exchange.endpoint.receive_datagram
    assert receive(other, held.source, now) is None, "the nonce was used by the first"
    assert receive(bytes(held.request), held.source._replace(port=9), now) is None
    event = receive(bytes(held.request), held.source, now)
    assert event is not None
    assert authenticator._held == {}


def test_a_registration_waits_as_well_and_other_phones_do_not():
    judges = Judges()
    other = judges.client(Endpoint("203.0.113.70", 5060), "1002").prove(OTHER, "REGISTER")
    assert other is not None
    assert other.status == 200
    assert judges.asked == []
    client = judges.client()
    assert client.prove(RIGHT, "REGISTER") is None
    assert not judges.exchange.registrations.is_registered("1001")
    judges.judge(PasswordVerdict.RIGHT)
    judges.stage.wire.run_for(100)
    assert client.heard[-1].status == 200
    assert judges.exchange.registrations.is_registered("1001")


def test_too_many_that_wait_are_refused(monkeypatch):
    monkeypatch.setattr(module, "HELD_MAX", 1)
    judges = Judges()
    assert judges.client().prove(RIGHT) is None
    second = judges.client(Endpoint("203.0.113.71", 5060)).prove(RIGHT)
    assert second is not None
    assert second.status == 503
    assert len(judges.asked) == 1
    judges.judge(PasswordVerdict.WRONG)
    assert judges.client(Endpoint("203.0.113.72", 5060)).prove(RIGHT) is None
    assert len(judges.asked) == 2, "there is room again"


@pytest.mark.parametrize(
    "sources",
    [[Endpoint("203.0.113.71", 5_060 + number) for number in range(9)],
     [Endpoint(f"203.0.113.{number}", 5_060) for number in range(71, 80)]],
    ids=["one source", "many sources"],
)  # fmt: skip
def test_no_more_guesses_at_a_user_are_open_than_it_has_left(sources):
    """FreeRADIUS delays a rejection: all that comes meanwhile would be compared."""
    judges = Judges()
    answers = [judges.client(source).prove(Login("1001", "guess")) for source in sources]
    assert [None if answer is None else answer.status for answer in answers] == [None] * 6 + [503] * 3
    assert answers[-1]["Retry-After"] == "1"
    assert judges.exchange.endpoint.dropped[Drop.UNCHECKED_CREDENTIALS] == 3
    assert len(judges.asked) == 6
    judges.judge(PasswordVerdict.WRONG)
    assert judges.client(Endpoint("203.0.113.99", 5_060)).prove(Login("1001", "guess")).status == 503
    judges.exchange.authenticator.judged(
        judges.asked[0], PasswordVerdict.UNKNOWN, BY_ADDRESS, judges.exchange.clock.now()
    )
    assert judges.client(Endpoint("203.0.113.99", 5_062)).prove(RIGHT) is None, "no guess: there is one more again"


def test_a_right_password_is_not_looked_at_after_wrong_ones_that_came_with_it():
    judges = Judges(users=["1003"], lock_out=LockOutSettings(max_retry=2))
    for port, user in ((5_060, "1001"), (5_062, "1001"), (5_064, "1003")):
        assert judges.client(Endpoint(DESK.host, port), user).prove(Login(user, "guess"), "REGISTER") is None
    now, authenticator = judges.exchange.clock.now(), judges.exchange.authenticator
    for held in judges.asked[:2]:
        authenticator.judged(held, PasswordVerdict.WRONG, BY_ADDRESS, now)
    assert [each.source for each in authenticator.locked_out(now)] == [DESK.host]
    authenticator.judged(judges.asked[2], PasswordVerdict.RIGHT, BY_ADDRESS, now)
    verdict = judges.asked[2].verdict
    assert isinstance(verdict, Challenged)
    assert (verdict.status, verdict.why) == (503, Drop.UNCHECKED_CREDENTIALS)
    assert not authenticator.has_proven(DESK.host, now)


def test_all_phones_behind_a_nat_may_register_at_once():
    users = [str(number) for number in range(2_000, 2_050)]
    judges = Judges(users=users)
    now = judges.exchange.clock.now()
    for port, user in enumerate(users, 20_000):
        assert judges.client(Endpoint(DESK.host, port), user).prove(Login(user, "theirs"), "REGISTER") is None
    assert [held.username for held in judges.asked] == users
    for held in judges.asked:
        judges.exchange.authenticator.judged(held, PasswordVerdict.RIGHT, BY_ADDRESS, now)
        assert isinstance(held.verdict, Accepted)
    assert not judges.exchange.authenticator._guesses._open


def test_a_user_at_home_may_have_many_open_questions():
    judges = Judges()
    assert judges.client().prove(RIGHT, "REGISTER") is None
    judges.judge(PasswordVerdict.RIGHT)
    for port in range(5_060, 5_080):
        assert judges.client(Endpoint(DESK.host, port)).prove(RIGHT) is None
    assert len(judges.asked) == 21


def test_a_neighbour_of_a_user_at_home_guesses_no_more_than_its_share(monkeypatch):
    """Before RADIUS answers, which FreeRADIUS delays for a wrong password: each guess comes from another port."""
    monkeypatch.setattr(guesses, "OPEN_AT_HOME_MAX", 3)
    judges = Judges(users=["2001"])
    assert judges.client().prove(RIGHT, "REGISTER") is None
    judges.judge(PasswordVerdict.RIGHT)
    guessed = [
        judges.client(Endpoint(DESK.host, port)).prove(Login("1001", "guess"), "REGISTER")
        for port in range(5_060, 5_065)
    ]
    assert [None if answer is None else answer.status for answer in guessed] == [None, None, None, 503, 503]
    assert judges.client(Endpoint(DESK.host, 5_070), "2001").prove(Login("2001", "theirs")) is None


def test_a_source_leaves_questions_to_others_also_where_its_users_are_at_home(monkeypatch):
    monkeypatch.setattr(guesses, "OPEN_AT_ONE_PLACE_MAX", 2)
    users = ["2001", "2002", "2003"]
    judges = Judges(users=users)
    for user in users:
        assert judges.client(DESK, user).prove(Login(user, "theirs"), "REGISTER") is None
        judges.judge(PasswordVerdict.RIGHT)
    answers = [judges.client(DESK, user).prove(Login(user, "theirs")) for user in users]
    assert [None if answer is None else answer.status for answer in answers] == [None, None, 503]
    assert judges.client(Endpoint("203.0.113.71", 5060)).prove(RIGHT) is None
    judges.judge(PasswordVerdict.RIGHT)
    assert HELD_MAX == 2 * OPEN_AT_ONE_PLACE_MAX


def test_one_source_has_a_share_of_the_open_questions(monkeypatch):
    monkeypatch.setattr(guesses, "OPEN_OF_SOURCE_MAX", 2)
    judges = Judges(users=["2001", "2002", "2003"])
    answers = [judges.client(DESK, user).prove(Login(user, "guess")) for user in ("2001", "2002", "2003")]
    assert [None if answer is None else answer.status for answer in answers] == [None, None, 503]
    assert judges.client(Endpoint("203.0.113.71", 5060), "2003").prove(Login("2003", "guess")) is None


def test_users_at_home_do_not_share_the_open_questions_of_their_source(monkeypatch):
    """Behind a proxy all of them have one source."""
    monkeypatch.setattr(guesses, "OPEN_OF_SOURCE_MAX", 2)
    users = [str(number) for number in range(2_000, 2_005)]
    judges = Judges(users=users)
    for user in users:
        assert judges.client(DESK, user).prove(Login(user, "theirs"), "REGISTER") is None
        judges.judge(PasswordVerdict.RIGHT)
    for user in users:
        assert judges.client(Endpoint(DESK.host, 5_062), user).prove(Login(user, "theirs")) is None
    assert len(judges.asked) == 2 * len(users)
    for held in judges.asked[-len(users) :]:
        judges.exchange.authenticator.judged(held, PasswordVerdict.RIGHT, BY_ADDRESS, judges.exchange.clock.now())
    assert not judges.exchange.authenticator._guesses._open


def test_phones_behind_the_address_of_a_gateway_may_all_register_at_once(monkeypatch):
    monkeypatch.setattr(guesses, "OPEN_OF_SOURCE_MAX", 2)
    users = [str(number) for number in range(2_000, 2_005)]
    judges = Judges(users=users)
    for user in users:
        assert judges.client(CUSTOMER, user).prove(Login(user, "theirs"), "REGISTER") is None
    assert [held.username for held in judges.asked] == users


def test_a_digest_has_the_attributes_of_both_forms_or_of_one():
    parts = DigestParts("1001", "vosd", "n", "INVITE", "sip:44@vosd", "ab", "MD5", "auth", "c", "00000001")
    newer = digest_attributes(parts, DigestForm.RFC_5090)
    older = digest_attributes(parts, DigestForm.STERMAN)
    assert dict(newer) == {
        "User-Name": "1001", "Digest-Response": "ab", "Digest-Realm": "vosd", "Digest-Nonce": "n",
        "Digest-Method": "INVITE", "Digest-URI": "sip:44@vosd", "Digest-Qop": "auth", "Digest-Algorithm": "MD5",
        "Digest-CNonce": "c", "Digest-Nonce-Count": "00000001", "Digest-Username": "1001",
    }  # fmt: skip
    assert [value for name, value in older if name == "Sterman-Digest-Attributes"] == [
        b"\x01\x06vosd", b"\x02\x03n", b"\x03\x08INVITE", b"\x04\x0dsip:44@vosd", b"\x05\x06auth", b"\x06\x05MD5",
        b"\x08\x03c", b"\x09\x0a00000001", b"\x0a\x061001",
    ]  # fmt: skip
    assert dict(older)["Sterman-Digest-Response"] == "ab"
    assert len(digest_attributes(parts, DigestForm.BOTH)) == len(newer) + len(older) - 1
    old = parts._replace(qop="", cnonce="", nonce_count="")
    assert {"Digest-Qop", "Digest-CNonce", "Digest-Nonce-Count"}.isdisjoint(
        dict(digest_attributes(old, DigestForm.BOTH))
    )
