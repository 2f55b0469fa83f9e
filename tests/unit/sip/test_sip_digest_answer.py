"""What is answered to challenges (RFC 3261 section 22, RFC 7616, RFC 8760)."""

import re

import pytest

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.sip.digest.answer import REALMS_MAX, Answers, Challenge, answer_to, challenges_of
from vosd.sip.digest.hashing import Algorithm, Qop
from vosd.sip.digest.header import digest_parameters
from vosd.sip.wire.message import Response
from vosd.sip.wire.parse import parse_message

MUFASA = Login("Mufasa", Secret("Circle of Life"))
ALICE = Login("alice", Secret("secret"))


def challenged(*lines: str, status: int = 401) -> Response:
    text = "".join(f"{line}\r\n" for line in lines)
    message = parse_message(
        (
            f"SIP/2.0 {status} Unauthorized\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
            f"To: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n{text}Content-Length: 0\r\n\r\n"
        ).encode("utf-8", "surrogateescape")
    )
    assert isinstance(message, Response)
    return message


def said(line: str) -> dict[str, str]:
    name, value = line.strip().split(": ", 1)
    parameters = digest_parameters(value)
    assert parameters is not None
    return {"header": name, **parameters}


class TestVectors:
    """The worked examples of the RFCs."""

    @pytest.mark.parametrize(
        ("algorithm", "expected"),
        [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ],
    )
    def test_rfc_7616_section_3_9_1(self, algorithm: str, expected: str) -> None:
        (challenge,) = challenges_of(
            challenged(
                'WWW-Authenticate: Digest realm="http-auth@example.org", qop="auth, auth-int", '
                f'algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
                'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
            )
        )
        line = answer_to(
            challenge, MUFASA, "GET", "/dir/index.html", b"", 1, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
        )
        assert said(line) == {
            "header": "Authorization",
            "username": "Mufasa",
            "realm": "http-auth@example.org",
            "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "uri": "/dir/index.html",
            "response": expected,
            "algorithm": algorithm,
            "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
            "qop": "auth",
            "nc": "00000001",
            "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        }

    def test_rfc_2069_as_corrected(self) -> None:
        login = Login("Mufasa", Secret("CircleOfLife"))
        (challenge,) = challenges_of(
            challenged(
                'WWW-Authenticate: Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
            )
        )
        told = said(answer_to(challenge, login, "GET", "/dir/index.html", b"", 1, "unused"))
        assert told["response"] == "1949323746fe6a43ef61f9606e7febea"  # the errata of RFC 2069
        assert not {"qop", "nc", "cnonce", "algorithm", "opaque"} & told.keys()


class TestChoice:
    """Which of several challenges is answered."""

    MD5 = 'WWW-Authenticate: Digest realm="r", nonce="m", algorithm=MD5, qop="auth"'
    SHA = 'WWW-Authenticate: Digest realm="r", nonce="s", algorithm=SHA-256, qop="auth"'
    UNKNOWN = 'WWW-Authenticate: Digest realm="r", nonce="u", algorithm=SHA-512-256, qop="auth"'

    @pytest.mark.parametrize("order", [(MD5, SHA, UNKNOWN), (SHA, UNKNOWN, MD5), (UNKNOWN, MD5, SHA)])
    def test_the_strongest_known_algorithm_is_chosen(self, order: tuple[str, ...]) -> None:
        (challenge,) = challenges_of(challenged(*order))
        assert (challenge.algorithm, challenge.nonce) == (Algorithm.SHA_256, "s")

    @pytest.mark.parametrize(
        "line",
        [
            'WWW-Authenticate: Basic realm="r"',
            'WWW-Authenticate: Bearer realm="r", nonce="n"',
            'WWW-Authenticate: Digest realm="r"',
            'WWW-Authenticate: Digest nonce="n"',
            'WWW-Authenticate: Digest realm="r", nonce=""',
            'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=MD5-sess',
            'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-512-256',
            'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth-conf"',
            'WWW-Authenticate: Digest realm="r", nonce="n", nonce="m"',
            'WWW-Authenticate: Digest realm="r", nonce="n\x01"',
            'WWW-Authenticate: Digest realm="r", nonce="n", opaque="o\x01"',
            'WWW-Authenticate: Digest realm="r", nonce="' + "n" * 3_000 + '"',
            "X-Other: nothing",
        ],
    )
    def test_what_cannot_be_answered_is_left(self, line: str) -> None:
        response = challenged(line)
        assert challenges_of(response) == ()
        answers = Answers(ALICE)
        assert not answers.learn(response)
        assert answers.lines("INVITE", "sip:1@x", b"", "c") == ""

    @pytest.mark.parametrize(
        ("offered", "chosen"),
        [('"auth"', Qop.AUTH), ('"auth-int,auth"', Qop.AUTH), ("auth", Qop.AUTH), ('"auth-int"', Qop.AUTH_INT),
         ('"AUTH , other"', Qop.AUTH)],
    )  # fmt: skip
    def test_bodies_are_protected_only_where_nothing_less_will_do(self, offered: str, chosen: Qop) -> None:
        (challenge,) = challenges_of(challenged(f'WWW-Authenticate: Digest realm="r", nonce="n", qop={offered}'))
        assert challenge.qop is chosen

    def test_no_more_are_read_than_an_honest_peer_sends(self) -> None:
        lines = [f'WWW-Authenticate: Digest realm="r{number}", nonce="n"' for number in range(100)]
        assert len(challenges_of(challenged(*lines))) == 8


class TestWriting:
    """What is echoed."""

    def test_a_body_counts_with_auth_int(self) -> None:
        (challenge,) = challenges_of(challenged('WWW-Authenticate: Digest realm="r", nonce="n", qop="auth-int"'))
        one, other = (said(answer_to(challenge, ALICE, "INVITE", "sip:1@x", body, 1, "c")) for body in (b"", b"v=0"))
        assert one["qop"] == "auth-int"
        assert one["response"] != other["response"]

    def test_quotes_of_either_side_stay_inside_their_quotes(self) -> None:
        (challenge,) = challenges_of(
            challenged(r'Proxy-Authenticate: Digest realm="a\"b\\c", nonce="n\", x=\"y", opaque="o\""', status=407)
        )
        login = Login('al"ice\\', Secret("secret"))
        line = answer_to(challenge, login, "INVITE", 'sip:"@x', b"", 1, "c")
        told = said(line)
        assert told["header"] == "Proxy-Authorization"
        assert (told["realm"], told["nonce"], told["opaque"]) == ('a"b\\c', 'n", x="y', 'o"')
        assert told["username"] == 'al"ice\\'
        assert told["uri"] == 'sip:"@x'

    def test_what_is_no_utf_8_is_echoed_as_it_came(self) -> None:
        (challenge,) = challenges_of(challenged('WWW-Authenticate: Digest realm="caf\udce9", nonce="n"'))
        line = answer_to(challenge, ALICE, "INVITE", "sip:1@x", b"", 1, "c")
        assert b'realm="caf\xe9"' in line.encode("utf-8", "surrogateescape")

    def test_the_password_stands_nowhere(self) -> None:
        (challenge,) = challenges_of(challenged('WWW-Authenticate: Digest realm="r", nonce="n"'))
        assert "secret" not in answer_to(challenge, ALICE, "INVITE", "sip:1@x", b"", 1, "c")
        assert "secret" not in repr(ALICE)


class TestAnswers:
    """What is remembered of a peer from request to request."""

    def counts(self, answers: Answers) -> list[tuple[str, str]]:
        lines = answers.lines("INVITE", "sip:1@x", b"", "c")
        return re.findall(r'nonce="([^"]*)".* nc=([0-9a-f]{8})', lines)

    def test_the_count_grows_with_the_nonce_and_begins_anew_with_the_next(self) -> None:
        answers = Answers(ALICE)
        first = challenged('WWW-Authenticate: Digest realm="r", nonce="n1", qop="auth"')
        assert answers.learn(first)
        assert self.counts(answers) == [("n1", "00000001")]
        assert self.counts(answers) == [("n1", "00000002")]
        assert answers.learn(first, is_proven=False)
        assert self.counts(answers) == [("n1", "00000003")]
        assert answers.learn(challenged('WWW-Authenticate: Digest realm="r", nonce="n2", qop="auth", stale=true'))
        assert self.counts(answers) == [("n2", "00000001")]

    @pytest.mark.parametrize(
        ("asked", "rounds", "is_answered"),
        [
            ('nonce="n1"', 0, False),
            ('nonce="n1", algorithm=SHA-256', 1, False),
            ('nonce="n2"', 1, False),
            ('nonce="n2", algorithm=SHA-256', 1, True),
            ('nonce="n2", stale=true', 1, True),
            ('nonce="n1", stale=true', 1, True),
            ('nonce="n2"', 0, True),  # it was good when it was said first: the nonce may have grown old unsaid
        ],
    )
    def test_refused_credentials_are_not_sent_again(self, asked: str, rounds: int, is_answered: bool) -> None:
        """RFC 3261 section 22.2."""
        answers = Answers(ALICE)
        assert answers.learn(challenged('WWW-Authenticate: Digest realm="r", nonce="n1"'))
        answers.lines("INVITE", "sip:1@x", b"", "c")
        assert answers.learn(challenged(f'WWW-Authenticate: Digest realm="r", {asked}'), rounds) is is_answered

    def test_credentials_that_one_of_two_realms_refuses_are_not_sent_again(self) -> None:
        answers = Answers(ALICE)
        asked = 'WWW-Authenticate: Digest realm="r", nonce="n1"', 'WWW-Authenticate: Digest realm="s", nonce="n1"'
        assert answers.learn(challenged(*asked))
        answers.lines("INVITE", "sip:1@x", b"", "c")
        assert not answers.learn(challenged(asked[0], 'WWW-Authenticate: Digest realm="t", nonce="n1"'), 1)

    def test_a_challenge_that_comes_again_before_it_is_answered_refuses_nothing(self) -> None:
        answers, asked = Answers(ALICE), challenged('WWW-Authenticate: Digest realm="r", nonce="n1"')
        assert answers.learn(asked)
        assert answers.learn(asked)

    def test_a_request_that_another_one_with_the_same_nonce_overtook_is_proven_once_more(self) -> None:
        """Strict peers refuse a lower nonce count than the last, and some of them without ``stale``."""
        answers = Answers(ALICE)
        assert answers.learn(challenged('WWW-Authenticate: Digest realm="r", nonce="n1", qop="auth"'))
        assert "nc=00000001" in answers.lines("BYE", "sip:1@x", b"", "c")
        assert "nc=00000002" in answers.lines("BYE", "sip:2@x", b"", "c")
        again = challenged('WWW-Authenticate: Digest realm="r", nonce="n2", qop="auth"')
        assert answers.learn(again, 1), "the count was refused, not the password"
        assert 'nonce="n2"' in answers.lines("BYE", "sip:1@x", b"", "c")
        assert not answers.learn(challenged('WWW-Authenticate: Digest realm="r", nonce="n3", qop="auth"'), 2)

    def test_another_realm_is_answered_in_addition(self) -> None:
        answers = Answers(ALICE)
        assert answers.learn(challenged('WWW-Authenticate: Digest realm="r", nonce="n"'))
        answers.lines("INVITE", "sip:1@x", b"", "c")
        assert answers.learn(challenged('WWW-Authenticate: Digest realm="s", nonce="n"'), 1)

    def test_a_proxy_and_the_peer_behind_it_both_get_credentials(self) -> None:
        answers = Answers(ALICE)
        assert answers.learn(challenged('Proxy-Authenticate: Digest realm="p", nonce="1"', status=407))
        assert answers.learn(challenged('WWW-Authenticate: Digest realm="u", nonce="2"'))
        lines = answers.lines("INVITE", "sip:1@x", b"", "c").splitlines()
        assert [line.split(" ")[0] for line in lines] == ["Proxy-Authorization:", "Authorization:"]

    def test_realms_do_not_heap_up(self) -> None:
        answers = Answers(ALICE)
        for number in range(50):
            answers.learn(challenged(f'WWW-Authenticate: Digest realm="r{number}", nonce="n"'))
        lines = answers.lines("INVITE", "sip:1@x", b"", "c").splitlines()
        assert len(lines) == REALMS_MAX
        assert 'realm="r49"' in lines[-1]

    def test_a_nonce_that_is_used_up_is_answered_no_more(self) -> None:
        answers = Answers(ALICE)
        answers.learn(challenged('WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'))
        answers._asked[False, "r"].answered = 0xFFFF_FFFE
        assert self.counts(answers) == [("n", "ffffffff")]
        assert self.counts(answers) == []

    def test_stale_is_read_in_any_case(self) -> None:
        response = challenged('WWW-Authenticate: Digest realm="r", nonce="n", stale=TRUE')
        assert [challenge.is_stale for challenge in challenges_of(response)] == [True]
        assert isinstance(challenges_of(response)[0], Challenge)
