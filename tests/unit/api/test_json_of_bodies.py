"""JSON of a body: what is no JSON, or more than a request may have, is refused before anything reads it."""

import pytest

from vosd.api.http import DEPTH_MAX, HttpRequest, RequestError, document_of


def nested(levels: int) -> bytes:
    return b'{"keys": ' * (levels - 1) + b"{}" + b"}" * (levels - 1)


@pytest.mark.parametrize(
    ("content", "says_something"),
    [(b"", False), (b"{}", False), (b"{ }\r\n", False), (b"null", False), (b'{"at": 1}', True), (b"[]", True)],
)
@pytest.mark.parametrize("is_chunked", [True, False])
async def test_a_body_of_nothing_is_none_also_where_it_comes_in_chunks(content, says_something, is_chunked) -> None:
    """Programs in .NET send the body of each request so, and proxies that speak HTTP/2."""
    framing = (b"transfer-encoding", b"chunked") if is_chunked else (b"content-length", b"%d" % len(content))
    parts = [{"type": "http.request", "body": content, "more_body": is_chunked}]
    parts += [{"type": "http.request", "body": b""}] if is_chunked else []

    async def receive():
        return parts.pop(0)

    scope = {"type": "http", "method": "DELETE", "path": "/phones/7", "raw_path": b"/phones/7", "query_string": b"",
             "headers": [framing]}  # fmt: skip
    assert await HttpRequest(scope, receive).says_something() is says_something


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999999}', b'{"a": %s}' % (b"9" * 5000),
        b'{"a": "\\ud800"}', b'{"a": "\xed\xa0\x80"}', b"\xef\xbb\xbf{}", b"[" * 100_000 + b"]" * 100_000,
        b"[" * 800 + b"]" * 800, nested(800), nested(DEPTH_MAX + 1),
    ],
    ids=lambda content: repr(content[:20]),
)  # fmt: skip
def test_what_is_no_json_or_too_deep_is_refused(content: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        document_of(content)
    assert (refused.value.status, refused.value.code) == (400, "bad_json")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the body is empty"),
        (b'{"a": [1', "the body is no JSON: it ends too early"),
        (b'{"a": [1}', "the body is no JSON: line 1 is wrong at byte 9"),
        (b'[{"a": "\\ud83d\\ude00"}', "the body is no JSON: it ends too early"),
        (b'{"a": "\\uD83D"}', r"the body is no JSON: `\uD83D` in it is half of a character"),
        (b'{"a": "\xe9"}', "the body is no JSON: its text is not UTF-8"),
        (b'{"a": 1e999999}', "the body is no JSON: a number in it is too great"),
        (b'{\n  "a": 1,\n  b: 2\n}', "the body is no JSON: line 3 is wrong at byte 3"),
        (b"{'a': 1}", "the body is no JSON: line 1 is wrong at byte 2"),
    ],
)
def test_the_refusal_of_what_is_no_json_says_in_plain_words_where_it_is_wrong_and_what_to_do(
    content: bytes, said: str
) -> None:
    with pytest.raises(RequestError) as refused:
        document_of(content)
    assert str(refused.value) == said
    assert refused.value.remedy


def test_a_field_that_is_given_twice_is_refused_by_its_name() -> None:
    with pytest.raises(RequestError) as refused:
        document_of(b'{"keys": {"type": "direct", "type": "clearing"}}')
    assert (refused.value.status, refused.value.code, refused.value.field) == (400, "field_repeated", "type")


def test_json_of_the_greatest_depth_is_taken() -> None:
    assert document_of(nested(DEPTH_MAX))["keys"]
