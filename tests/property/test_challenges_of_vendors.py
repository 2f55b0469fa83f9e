"""Whatever a challenge says, its answer is one line that says of it what it said, or there is none."""

from doubles.exploring import examples
from hypothesis import given, settings, strategies as st

from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.sip.digest.answer import Answers, challenges_of
from vosd.sip.digest.header import digest_parameters, quoted
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Response
from vosd.sip.wire.parse import parse_message

HEAD = (
    "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
    "To: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
)
names = st.sampled_from(["realm", "nonce", "opaque", "qop", "algorithm", "stale", "domain", "Realm", "NONCE", "x"])
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=30)
words = st.sampled_from(
    ["auth", "auth-int", "MD5", "md5", "SHA-256", "true", "SHA-512", "r", "n", '"', "\\", ",", "=", ";"]
)
values = st.one_of(texts.map(quoted), words, words.map(quoted), texts)
separators = st.sampled_from([", ", ",", " ,\t", "; ", " "])


@st.composite
def challenges(draw):
    scheme = draw(st.sampled_from(["Digest ", "digest  ", "DIGEST\t", "Basic ", "", "Digest"]))
    parts = draw(st.lists(st.tuples(names, values), max_size=7))
    return scheme + draw(separators).join(f"{name}={value}" for name, value in parts)


def response_with(lines: list[str]) -> Response | None:
    text = HEAD + "".join(f"{line}\r\n" for line in lines) + "Content-Length: 0\r\n\r\n"
    try:
        message = parse_message(text.encode("utf-8", "surrogateescape"))
    except ParseError:
        return None
    assert isinstance(message, Response)
    return message


@settings(max_examples=examples(90, 3_000), deadline=None)
@given(
    lines=st.lists(st.tuples(st.sampled_from(["WWW-Authenticate", "Proxy-Authenticate"]), challenges()), max_size=5),
    username=texts,
    uri=texts,
)
def test_an_answer_is_one_line_that_says_what_was_asked(lines, username, uri):
    response = response_with([f"{name}: {value}" for name, value in lines])
    if response is None:
        return
    found = challenges_of(response)
    answers = Answers(Login(username, Secret("secret")))
    assert answers.learn(response) is bool(found)
    written = answers.lines("INVITE", uri, b"", "cnonce")
    assert written.count("\r\n") == written.count("\n") == written.count("\r") == len(found)
    for challenge, line in zip(found, written.split("\r\n"), strict=False):
        name, _, value = line.partition(": ")
        assert name == ("Proxy-Authorization" if challenge.is_proxy else "Authorization")
        said = digest_parameters(value)
        assert said is not None
        assert (said["realm"], said["nonce"], said.get("opaque")) == (
            challenge.realm, challenge.nonce, challenge.opaque,
        )  # fmt: skip
        assert (said["username"], said["uri"]) == (username, uri)
