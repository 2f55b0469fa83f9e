"""Nonces, credentials and verdicts (RFC 3261 section 22, RFC 7616), and lock-outs."""

import pytest
from doubles.data.builders import credentials
from doubles.virtual.probe import request

from vosd.base.credentials import Credentials
from vosd.base.host import source_of
from vosd.sip.digest import hashing, verifier
from vosd.sip.digest.hashing import Algorithm, Qop, ha1_of, response_of
from vosd.sip.digest.header import digest_parameters
from vosd.sip.digest.lockout import USERS_MAX, LockOut
from vosd.sip.digest.nonce import WINDOW, NonceFactory, NonceStatus, Uses
from vosd.sip.digest.settings import DigestSettings, LockOutSettings
from vosd.sip.digest.verifier import Finding, Verifier, claim_in
from vosd.sip.wire.parse import parse_message

HOST = "203.0.113.66"
URI = "sip:4420@192.0.2.1"
NOW = 1_000_000
LIFE = DigestSettings().nonce_life_ms


class TestMint:
    mint = NonceFactory(b"secret")

    def test_a_nonce_contains_its_time_of_creation(self):
        nonce = self.mint.issue(HOST, NOW, "salt")
        assert self.mint.issued_at(nonce, HOST) == NOW

    def test_no_two_are_alike(self):
        issue = self.mint.issue
        assert len({issue(HOST, NOW, "a"), issue(HOST, NOW, "b"), issue(HOST, NOW + 1, "a")}) == 3

    def test_a_nonce_is_for_the_address_that_it_was_given_to(self):
        assert self.mint.issued_at(self.mint.issue(HOST, NOW, "salt"), "203.0.113.67") is None

    def test_a_restart_invalidates_all_nonces(self):
        assert NonceFactory(b"another").issued_at(self.mint.issue(HOST, NOW, "salt"), HOST) is None

    @pytest.mark.parametrize("nonce", ["", ".", "..", "x", "é.x." + "0" * 32, "f" * 5_000, "0." * 900])
    def test_foreign_nonces_are_recognised(self, nonce):
        assert self.mint.issued_at(nonce, HOST) is None

    def test_any_changed_character_makes_it_another(self):
        nonce = self.mint.issue(HOST, NOW, "salt")
        changed = [nonce[:at] + ("0" if nonce[at] != "0" else "1") + nonce[at + 1 :] for at in range(len(nonce))]
        assert [self.mint.issued_at(each, HOST) for each in changed] == [None] * len(nonce)


class TestUses:
    def test_each_count_is_good_once_and_late_ones_within_the_window(self):
        uses = Uses()
        for count in (5, 3, 200, 200 - WINDOW + 1):
            assert uses.status_of("n", count, "r", NOW, NOW) is NonceStatus.OPEN
            uses.proved("n", count, NOW, NOW + LIFE)
            assert uses.status_of("n", count, "r", NOW, NOW) is NonceStatus.USED
        assert uses.status_of("n", 4, "r", NOW, NOW) is NonceStatus.USED, "too far behind to be remembered"
        assert uses.status_of("n", 200 - WINDOW, "r", NOW, NOW) is NonceStatus.USED
        assert uses.status_of("n", 199, "r", NOW, NOW) is NonceStatus.OPEN

    def test_counts_that_were_left_out_stay_good_and_used_ones_do_not(self):
        uses, used = Uses(), (1, 2, 5, 9)
        for count in used:
            uses.proved("n", count, NOW, NOW + LIFE)
        found = {count: uses.status_of("n", count, "r", NOW, NOW) for count in range(1, 11)}
        assert [count for count, status in found.items() if status is NonceStatus.USED] == [*used]

    def test_a_nonce_that_has_expired_takes_the_use_of_no_other_one_with_it(self):
        uses = Uses()
        uses.proved("old", 1, NOW, NOW + LIFE)
        uses.proved("young", 1, NOW + 1, NOW + 1 + LIFE)
        assert uses.status_of("young", 1, "r", NOW + 1, NOW + LIFE) is NonceStatus.USED
        assert len(uses) == 1

    @pytest.mark.parametrize("first", [0, 1])
    def test_without_a_count_a_nonce_is_good_where_it_was_not_used_yet(self, first):
        uses = Uses()
        assert uses.status_of("n", 0, "r", NOW, NOW) is NonceStatus.OPEN
        uses.proved("n", first, NOW, NOW + LIFE)
        assert uses.status_of("n", 0, "r", NOW, NOW) is NonceStatus.USED

    def test_a_wrong_response_spoils_a_nonce_and_is_recognised(self):
        uses = Uses()
        uses.failed("n", "guess", NOW, NOW + LIFE)
        assert uses.status_of("n", 1, "guess", NOW, NOW) is NonceStatus.REPEATED
        assert uses.status_of("n", 2, "another", NOW, NOW) is NonceStatus.USED

    def test_where_the_table_is_full_the_oldest_nonces_are_stale_before_their_time(self):
        """A life of an hour and 19 log-ins a second would leave no room; a challenge of now can be answered."""
        uses = Uses(used_max=2)
        for number, nonce in enumerate(("a", "b", "c")):
            assert uses.status_of(nonce, 1, "r", NOW + number, NOW + number) is NonceStatus.OPEN
            uses.proved(nonce, 1, NOW + number, NOW + number + LIFE)
        assert len(uses) == 2
        assert uses.status_of("a", 1, "r", NOW, NOW + 3) is NonceStatus.USED, "its use is forgotten: no replay"
        assert uses.status_of("unused", 1, "r", NOW, NOW + 3) is NonceStatus.USED, "it may have been used"
        assert uses.status_of("b", 1, "r", NOW + 1, NOW + 3) is NonceStatus.USED
        assert uses.status_of("b", 2, "r", NOW + 1, NOW + 3) is NonceStatus.OPEN
        uses.failed("d", "guess", NOW + 3, NOW + 3 + LIFE)
        assert uses.status_of("b", 2, "r", NOW + 1, NOW + 4) is NonceStatus.USED
        assert uses.status_of("d", 1, "guess", NOW + 3, NOW + 4) is NonceStatus.REPEATED
        assert uses.status_of("e", 1, "r", NOW + LIFE + 9, NOW + LIFE + 9) is NonceStatus.OPEN
        assert len(uses) == 0

    def test_a_nonce_that_was_issued_earlier_and_used_later_makes_no_forgotten_one_good_again(self):
        uses = Uses(used_max=1)
        for nonce, issued_at in (("a", NOW + 5), ("b", NOW), ("c", NOW + 6)):
            uses.proved(nonce, 1, issued_at, issued_at + LIFE)
        assert uses.status_of("a", 1, "r", NOW + 5, NOW + 7) is NonceStatus.USED

    def test_the_largest_count_costs_no_memory(self):
        uses = Uses()
        uses.proved("n", 1, NOW, NOW + LIFE)
        uses.proved("n", 0xFFFF_FFFF, NOW, NOW + LIFE)
        assert uses.status_of("n", 0xFFFF_FFFF, "r", NOW, NOW) is NonceStatus.USED
        assert uses.status_of("n", 0xFFFF_FFFE, "r", NOW, NOW) is NonceStatus.OPEN
        assert uses.status_of("n", 2, "r", NOW, NOW) is NonceStatus.USED


class Peer:
    """A client at ``HOST`` that is challenged, and may answer anything."""

    def __init__(self, *, password="secret", settings=None):
        self.settings = settings or DigestSettings()
        self.verifier = Verifier(b"sealed", self.settings)
        self.known = {"1001": credentials("1001", "secret", self.settings)}
        self.password = password
        self.asked = 0

    def challenge(self, mono_ms=NOW):
        self.asked += 1
        lines = self.verifier.challenge(HOST, mono_ms, str(self.asked)).splitlines()
        return [digest_parameters(line.partition(": ")[2]) for line in lines]

    def answer(self, *, nonce=None, username="1001", algorithm=Algorithm.MD5, qop=Qop.AUTH, lies=None):
        """Return credentials with the parameters of ``lies`` in place of the true ones; None leaves one out."""
        count = "00000001"
        said = {
            "username": username,
            "realm": self.settings.realm,
            "nonce": nonce or self.challenge()[0]["nonce"],
            "uri": URI,
            "algorithm": algorithm.value,
        }
        if qop is not None:
            said |= {"qop": qop.value, "nc": count, "cnonce": "c0ffee"}
        ha1 = ha1_of(algorithm, username, self.settings.realm, self.password)
        proof = response_of(
            algorithm, ha1, "INVITE", URI, said["nonce"], qop=qop, nonce_count=count if qop else "", cnonce="c0ffee"
        )
        said |= {"response": proof, **(lies or {})}
        return ", ".join(f'{name}="{value}"' for name, value in said.items() if value is not None)

    def judge(self, credentials_line, *, mono_ms=NOW, host=HOST, header="Authorization", **asked):
        message = parse_message(request(headers=f"{header}: Digest {credentials_line}\r\n", **asked))
        return self.verifier.judge(message, host, self.known.get, mono_ms).finding


class TestJudgements:
    @pytest.mark.parametrize("header", ["Authorization", "Proxy-Authorization"])
    @pytest.mark.parametrize("algorithm", list(Algorithm))
    def test_the_right_password_is_right(self, algorithm, header):
        peer = Peer(settings=DigestSettings(algorithms=(Algorithm.SHA_256, Algorithm.MD5)))
        assert peer.judge(peer.answer(algorithm=algorithm), header=header) is Finding.RIGHT

    def test_peers_older_than_qop_may_use_md5(self):
        peer = Peer()
        assert peer.judge(peer.answer(qop=None)) is Finding.RIGHT

    def test_qop_is_required_with_sha_256(self):
        peer = Peer(settings=DigestSettings(algorithms=(Algorithm.SHA_256,)))
        line = peer.answer(algorithm=Algorithm.SHA_256, qop=None)
        assert peer.judge(line) is Finding.NOTHING_SAID

    def test_an_algorithm_is_not_taken_that_was_not_asked_for(self):
        peer = Peer()
        assert peer.judge(peer.answer(algorithm=Algorithm.SHA_256)) is Finding.NOTHING_SAID

    @pytest.mark.parametrize(
        "lie",
        [
            {"realm": "elsewhere"}, {"username": ""}, {"nonce": ""}, {"response": ""}, {"uri": ""},
            {"algorithm": "MD5-sess"}, {"algorithm": "SHA-512-256"}, {"qop": "auth-int"}, {"qop": "none"},
            {"nc": "0"}, {"nc": "00000000"}, {"nc": "-1"}, {"nc": "0x1"}, {"nc": "000000001"}, {"nc": "1_0"},
            {"nc": None}, {"cnonce": None}, {"cnonce": ""}, {"username": None}, {"response": None},
        ],
    )  # fmt: skip
    def test_malformed_credentials_count_as_missing(self, lie):
        peer = Peer()
        assert peer.judge(peer.answer(lies=lie)) is Finding.NOTHING_SAID

    @pytest.mark.parametrize("response", ["0" * 32, "é", "\udcff", "0" * 1_000])
    def test_a_wrong_response_is_wrong(self, response):
        peer = Peer()
        assert peer.judge(peer.answer(lies={"response": response})) is Finding.WRONG

    def test_the_digest_covers_the_method(self):
        peer = Peer()
        assert peer.judge(peer.answer(), method="REGISTER") is Finding.WRONG

    def test_digits_may_be_capitals(self):
        peer = Peer()
        line = peer.answer()
        proof = digest_parameters(f"Digest {line}")["response"]
        assert peer.judge(line.replace(proof, proof.upper())) is Finding.RIGHT

    @pytest.mark.parametrize(
        ("asked", "finding"),
        [
            ("sip:4420@192.0.2.1:5060;transport=udp", Finding.RIGHT),
            ("sip:4420@192.0.2.2", Finding.RIGHT),  # a proxy has written its next hop
            ("tel:4420", Finding.RIGHT),
            ("sip:4421@192.0.2.1", Finding.ELSEWHERE),
            ("sip:192.0.2.1", Finding.ELSEWHERE),
        ],
    )
    def test_the_uri_is_where_the_request_goes(self, asked, finding):
        peer = Peer()
        assert peer.judge(peer.answer(), uri=asked) is finding

    @pytest.mark.parametrize("uri", ["4420", "sip:4420@192.0.2.1:port", "sip:"])
    def test_a_uri_that_cannot_be_read_is_elsewhere_and_no_guess(self, uri):
        peer = Peer()
        line = peer.answer(lies={"uri": uri})
        assert [peer.judge(line), peer.judge(line)] == [Finding.ELSEWHERE] * 2

    @pytest.mark.parametrize(("realm", "expected"), [("", DigestSettings().realm), ("acme.example", "acme.example")])
    def test_others_judge_a_password_in_the_realm_that_was_asked_for(self, realm, expected):
        peer = Peer()
        line = peer.answer(lies={"realm": expected})
        message = parse_message(request(headers=f"Authorization: Digest {line}\r\n"))
        remote = Credentials("1001", {}, is_remote=True)
        proof = peer.verifier.judge(message, HOST, lambda _user: remote, NOW, realm).proof
        assert proof.realm == expected

    def test_an_unknown_user_never_authenticates(self):
        """Not even with knowledge of the hash for unknown users."""
        peer = Peer()
        peer.known = {}
        assert peer.judge(peer.answer()) is Finding.WRONG
        peer.known = {"1001": Credentials("1001", {})}
        assert peer.judge(peer.answer()) is Finding.WRONG
        unknown = hashing.hashed(Algorithm.MD5, f"unknown user {b'sealed'.hex()}")
        nonce = peer.challenge()[0]["nonce"]
        proof = response_of(
            Algorithm.MD5, unknown, "INVITE", URI, nonce, qop=Qop.AUTH, nonce_count="00000001", cnonce="c0ffee"
        )
        assert peer.judge(peer.answer(nonce=nonce, username="x", lies={"response": proof})) is Finding.WRONG

    @pytest.mark.parametrize("username", ["1001", "unknown", "\udcff" * 100, "x" * 1_000])
    def test_a_wrong_user_costs_the_work_of_a_wrong_password(self, username, monkeypatch):
        work, compared = [], []
        make_hash, compare = hashing._hash, verifier.hmac.compare_digest

        def counted_hash(algorithm, data):
            work.append(len(data))
            return make_hash(algorithm, data)

        def counted_compare(one, other):
            compared.append((len(one), len(other)))
            return compare(one, other)

        monkeypatch.setattr(hashing, "_hash", counted_hash)
        monkeypatch.setattr(verifier.hmac, "compare_digest", counted_compare)
        peer = Peer(password="guess")
        line = peer.answer(username=username)
        work.clear()
        compared.clear()
        assert peer.judge(line) is Finding.WRONG
        known = len("INVITE:") + len(URI)
        nonce = digest_parameters(f"Digest {line}")["nonce"]
        whole = 32 + len(f":{nonce}:00000001:c0ffee:auth:") + 32
        assert work == [known, whole]
        assert compared[-1:] == [(32, 32)]


class TestTime:
    def test_an_answer_is_good_for_the_life_of_the_nonce(self):
        peer = Peer()
        nonce = peer.challenge()[0]["nonce"]
        assert peer.judge(peer.answer(nonce=nonce), mono_ms=NOW + LIFE - 1) is Finding.RIGHT
        nonce = peer.challenge()[0]["nonce"]
        assert peer.judge(peer.answer(nonce=nonce), mono_ms=NOW + LIFE) is Finding.STALE

    def test_a_nonce_from_the_future_is_none(self):
        peer = Peer()
        nonce = peer.challenge(NOW + 1)[0]["nonce"]
        assert peer.judge(peer.answer(nonce=nonce)) is Finding.STALE

    def test_an_expired_nonce_does_not_reveal_whether_a_password_is_right(self, monkeypatch):
        for password in ("secret", "guess"):
            peer = Peer(password=password)
            line = peer.answer()
            with monkeypatch.context() as patched:
                patched.setattr(verifier, "response_of", None)  # would raise if anything were computed
                assert peer.judge(line, mono_ms=NOW + LIFE) is Finding.STALE
                assert peer.judge(line, host="203.0.113.67") is Finding.STALE

    def test_a_longer_life_brings_no_nonce_back_whose_use_is_forgotten(self):
        peer = Peer()
        line = peer.answer()
        assert peer.judge(line) is Finding.RIGHT
        peer.verifier.adopt(DigestSettings(nonce_life_ms=6 * LIFE))
        assert peer.judge(line, mono_ms=NOW + LIFE) is Finding.STALE
        peer.verifier.adopt(DigestSettings())
        assert peer.judge(line, mono_ms=NOW + 1) is Finding.STALE

    def test_what_is_forgotten_is_expired(self):
        peer = Peer()
        for _ in range(100):
            peer.judge(peer.answer())
        late = peer.challenge(NOW + LIFE)[0]["nonce"]
        assert peer.judge(peer.answer(nonce=late), mono_ms=NOW + LIFE) is Finding.RIGHT
        assert len(peer.verifier._uses) == 1


class TestChallenges:
    def test_there_is_one_for_each_algorithm_in_order(self):
        peer = Peer(settings=DigestSettings("example.org", (Algorithm.SHA_256, Algorithm.MD5)))
        first, second = peer.challenge()
        assert (first["algorithm"], second["algorithm"]) == ("SHA-256", "MD5")
        assert {first["realm"], second["realm"]} == {"example.org"}
        assert first["qop"] == "auth"

    def test_credentials_of_ours_are_found_among_many(self):
        peer = Peer()
        others = "".join(f'Authorization: Digest realm="{n}", username="a"\r\n' for n in range(6))
        message = parse_message(request(headers=f"{others}Authorization: Digest {peer.answer()}\r\n"))
        assert claim_in(message, "vosd", (Algorithm.MD5,)).username == "1001"
        message = parse_message(request(headers=f"{others * 2}Authorization: Digest {peer.answer()}\r\n"))
        assert claim_in(message, "vosd", (Algorithm.MD5,)) is None


class TestLockOut:
    def locked(self, **bounds) -> LockOut:
        return LockOut(LockOutSettings(3, 60_000), **bounds)

    def test_the_last_failure_locks_out_and_time_lets_in(self):
        lock = self.locked()
        assert [lock.failed(HOST, NOW + at) for at in range(3)] == [False, False, True]
        assert lock.is_locked_out(HOST, NOW + 2 + 59_999)
        assert not lock.is_locked_out(HOST, NOW + 2 + 60_000)
        assert [lock.failed(HOST, NOW + 70_000 + at) for at in range(3)] == [False, False, True]

    def test_a_success_begins_the_count_anew(self):
        lock = self.locked()
        for _ in range(5):
            assert not lock.failed(HOST, NOW)
            assert not lock.failed(HOST, NOW)
            lock.succeeded(HOST)

    def test_a_success_of_one_user_leaves_the_failures_of_others(self):
        lock = self.locked()
        for _ in range(2):
            assert not lock.failed(HOST, NOW, "1001")
            lock.succeeded(HOST, "1002")
            lock.succeeded(HOST, "1001", "another.example")
        assert lock.failed(HOST, NOW, "1003"), "those of all users count together"

    def test_users_without_number_are_counted_together_and_forgotten_together(self):
        lock = LockOut(LockOutSettings(1_000, 60_000))
        assert [lock.failed(HOST, NOW, str(name)) for name in range(1_000)] == [False] * 999 + [True]

    def test_a_success_of_one_user_too_many_leaves_those_that_are_counted_with_it(self):
        lock = LockOut(LockOutSettings(USERS_MAX + 3, 60_000))
        names = [str(name) for name in range(USERS_MAX + 2)]
        assert not any(lock.failed(HOST, NOW, name) for name in names)
        lock.succeeded(HOST, names[-1])
        lock.succeeded(HOST, names[0])
        assert [lock.failed(HOST, NOW, "more") for _ in range(2)] == [False, True]

    def test_failures_as_old_as_a_lock_out_are_forgotten(self):
        lock = self.locked()
        assert not any(lock.failed(HOST, NOW + 60_000 * each) for each in range(20))
        later = NOW + 2_000_000
        lock.failed("10.0.0.1", later)
        lock.failed(HOST, later + 1)
        assert [lock.failed(HOST, later + 60_000), lock.failed(HOST, later + 60_000)] == [False, True]

    def test_a_lock_out_that_is_over_is_not_listed(self):
        lock = LockOut(LockOutSettings(1, 60_000))
        lock.failed("10.0.0.1", NOW)
        lock.failed("10.0.0.2", NOW + 1)
        assert [each.source for each in lock.locked_out(NOW + 60_000)] == ["10.0.0.2"]

    def test_none_is_locked_out_where_that_is_off(self):
        lock = LockOut(LockOutSettings(0, 60_000))
        assert not any(lock.failed(HOST, NOW) for _ in range(1_000))
        assert not lock.is_locked_out(HOST, NOW)

    def test_one_failure_may_be_one_too_many(self):
        lock = LockOut(LockOutSettings(1, 60_000))
        assert lock.failed(HOST, NOW)

    def test_both_tables_are_bounded(self):
        lock = self.locked(sources_max=10)
        for number in range(50):
            for _ in range(3):
                lock.failed(f"10.0.0.{number}", NOW)
            lock.failed(f"10.0.1.{number}", NOW)
        assert [each.source for each in lock.locked_out(NOW)] == [f"10.0.0.{number}" for number in range(40, 50)]
        lock.failed("10.0.1.0", NOW)
        assert not lock.failed("10.0.1.0", NOW), "its first failure was forgotten"
        assert lock.failed("10.0.1.49", NOW) is False
        assert lock.failed("10.0.1.49", NOW) is True

    @pytest.mark.parametrize(
        ("host", "source"),
        [
            (HOST, HOST),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:db8:0:0:ffff::9", "2001:db8::/64"),
            ("2001:db8:0:1::9", "2001:db8:0:1::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            (f"::ffff:{HOST}", HOST),
        ],
    )
    def test_an_ipv6_source_is_its_network(self, host, source):
        assert source_of(host) == source

    def test_a_network_is_locked_out_and_unblocked_by_any_of_its_addresses(self):
        lock = self.locked()
        for last in range(3):
            lock.failed(f"2001:db8::{last + 1}", NOW)
        assert lock.is_locked_out("2001:db8::beef", NOW)
        assert lock.unblock("2001:db8::", NOW)
        assert not lock.unblock("2001:db8::", NOW)
        assert not lock.is_locked_out("2001:db8::1", NOW)
