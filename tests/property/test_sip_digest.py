"""Whatever is done to credentials and nonces: no request is accepted without the password, and none works twice."""

from contextlib import suppress

from doubles.data.builders import credentials
from doubles.sockets.login import Login, Question, answer
from doubles.virtual.probe import request
from hypothesis import given, strategies as st

from vosd.sip.digest.hashing import Algorithm
from vosd.sip.digest.header import digest_parameters
from vosd.sip.digest.settings import DigestSettings
from vosd.sip.digest.verifier import Finding, Verifier
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.parse import parse_message

HOST = "203.0.113.66"
URI = "sip:4420@192.0.2.1"
NOW = 1_000_000
SETTINGS = DigestSettings(algorithms=(Algorithm.SHA_256, Algorithm.MD5))
KNOWN = {"1001": credentials("1001", "secret", SETTINGS)}
RIGHT = Login("1001", "secret")
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
PARAMETERS = ("username", "realm", "nonce", "uri", "response", "algorithm", "qop", "nc", "cnonce")


def asked(verifier, mono_ms=NOW, salt="salt", host=HOST) -> Question:
    line = verifier.challenge(host, mono_ms, salt).splitlines()[0]
    return Question("Authorization", digest_parameters(line.partition(": ")[2]))


def finding(verifier, line, *, mono_ms=NOW, host=HOST) -> Finding:
    message = parse_message(request(uri=URI, headers=f"{line}\r\n"))
    return verifier.judge(message, host, KNOWN.get, mono_ms).finding


def meaning(line: str):
    """Return the content of credentials, without differences of spelling that the RFC permits."""
    said = digest_parameters(line.partition(":")[2]) or {}
    said = {name: text for name, text in said.items() if name in PARAMETERS}
    said.setdefault("algorithm", "MD5")
    for name in ("response", "algorithm", "qop"):
        if name in said:
            said[name] = said[name].lower()
    return said


@given(st.data())
def test_credentials_that_say_anything_else_are_refused(data):
    verifier = Verifier(b"sealed", SETTINGS)
    login = RIGHT._replace(algorithm=data.draw(st.sampled_from(["MD5", "SHA-256"])))
    line = answer(asked(verifier), login, "INVITE", URI)
    name = data.draw(st.sampled_from(PARAMETERS))
    told = meaning(line)[name]
    lie = data.draw(TEXT | st.sampled_from([told + "0", told[:-1], told[1:], told[::-1], "", "*", "MD5", "auth-int"]))
    altered = answer(asked(verifier), login, "INVITE", URI, lies={name: lie})
    if meaning(altered) != meaning(line):
        assert finding(verifier, altered) is not Finding.RIGHT


@given(st.data())
def test_credentials_with_other_bytes_are_refused_or_mean_the_same(data):
    verifier = Verifier(b"sealed", SETTINGS)
    line = answer(asked(verifier), RIGHT, "INVITE", URI)
    battered = line
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(len("Authorization:"), len(battered)))
        end = data.draw(st.integers(start, min(len(battered), start + 5)))
        battered = battered[:start] + data.draw(TEXT | st.sampled_from(['"', "\\", ",", "=", " "])) + battered[end:]
    with suppress(ParseError):
        found = finding(verifier, battered)
        assert found is not Finding.RIGHT or meaning(battered) == meaning(line)


@given(TEXT, st.sampled_from([b"", b"another", b"sealed "]))
def test_nonces_of_others_are_worth_nothing(text, secret):
    verifier = Verifier(b"sealed", SETTINGS)
    foreign = asked(Verifier(secret, SETTINGS))
    question = foreign._replace(parameters={**foreign.parameters, "nonce": text or foreign.parameters["nonce"]})
    for each in (foreign, question):
        assert finding(verifier, answer(each, RIGHT, "INVITE", URI)) in {Finding.STALE, Finding.NOTHING_SAID}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),  # which nonce
            st.integers(1, 80),  # nonce count
            st.sampled_from([HOST, HOST, HOST, "203.0.113.67"]),
            st.sampled_from(["secret", "secret", "secret", "guess"]),
            st.booleans(),  # with qop
            st.integers(0, 3_000),  # milliseconds that pass before
        ),
        max_size=60,
    )
)
def test_no_request_is_taken_twice_nor_late_nor_from_elsewhere(attempts):
    verifier = Verifier(b"sealed", SETTINGS)
    issued_at = [NOW, NOW, NOW + 3_000, NOW + 8_000, NOW + 20_000]
    issued = [asked(verifier, mono_ms, str(salt)) for salt, mono_ms in enumerate(issued_at)]
    taken, spoilt, now = set(), set(), NOW
    for which, count, host, password, has_qop, wait_ms in attempts:
        now += wait_ms
        line = answer(issued[which], Login("1001", password, has_qop=has_qop), "INVITE", URI, count)
        found = finding(verifier, line, mono_ms=now, host=host)
        use = (which, count if has_qop else 0)
        is_good = host == HOST and 0 <= now - issued_at[which] < SETTINGS.nonce_life_ms
        if not is_good or use in taken:
            assert found is Finding.STALE
        elif which in spoilt:
            assert found in {Finding.STALE, Finding.WRONG_AGAIN}
        elif password == "guess":
            assert found in {Finding.WRONG, Finding.STALE}
        else:
            assert found in {Finding.RIGHT, Finding.STALE}
        if found is Finding.RIGHT:
            taken.add(use)
        elif found is Finding.WRONG:
            spoilt.add(which)
