"""Bodies of several parts: whatever tree was written is read again, what is composed is too, and hostile ones end."""

import time

from doubles.virtual.probe import request
from hypothesis import given, strategies as st

from vosd.sip.wire.body import passed_parts, session_of, unknown_types
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.multipart import NESTED_MAX, PARTS_MAX, BodyPart, composed, is_writable, opened
from vosd.sip.wire.parse import parse_message

TYPES = ("application/isup;version=itu-t92+", "application/pidf+xml", "text/plain", "Application/SDP")
PASSED = frozenset({"application/isup", "application/pidf+xml"})

contents = st.binary(max_size=60) | st.sampled_from([b"--x--", b"\r\n--", b"v=0\r\n", b"\x01\x00\r\n\r\n\xff", b""])
leaves = st.builds(
    BodyPart,
    contents,
    st.sampled_from(TYPES),
    st.sampled_from(["", "signal;handling=optional", "by-reference;handling=required"]),
    st.sampled_from(["", "<a@b>"]),
    st.sampled_from(["", "binary"]),
    st.sampled_from(["", "gzip"]),
    st.none(),
)
trees = st.recursive(leaves, lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=8)


def lines_of(part: BodyPart) -> bytes:
    """Write the headers of a part, without sharing the writer that is tested."""
    fields = (
        ("CONTENT-TYPE", part.written_type), ("content-disposition", part.written_disposition),
        ("Content-ID", part.identifier), ("Content-Transfer-Encoding", part.encoding),
        ("Content-Encoding", part.content_encoding),
    )  # fmt: skip
    return b"".join(f"{name} :  {value}\r\n".encode() for name, value in fields if value)


def written(tree: BodyPart | list[BodyPart], number: list[int]) -> BodyPart:
    """Write a tree: each list is a multipart body whose boundary is in no content."""
    if isinstance(tree, BodyPart):
        return tree
    number[0] += 1
    mark = b"--=_unlikely-%d" % number[0]
    inner = [written(each, number) for each in tree]
    body = b"preamble" + b"".join(b"\r\n" + mark + b" \t\r\n" + lines_of(each) + b"\r\n" + each.body for each in inner)
    return BodyPart(
        body + b"\r\n" + mark + b"--\r\nepilogue", f'multipart/mixed;x="a;b";boundary="{mark[2:].decode()}"'
    )


def shape(tree: BodyPart | list[BodyPart]) -> object:
    return [shape(each) for each in tree] if isinstance(tree, list) else tree


def read_shape(part: BodyPart) -> object:
    return part if part.parts is None else [read_shape(each) for each in part.parts]


def depth_of(tree: BodyPart | list[BodyPart]) -> int:
    return 1 + max(map(depth_of, tree)) if isinstance(tree, list) else 0


@given(trees)
def test_every_tree_is_read_as_it_was_written(tree):
    if depth_of(tree) <= NESTED_MAX + 1:
        assert read_shape(opened(written(tree, [0]))) == shape(tree)


@given(st.lists(leaves, min_size=1, max_size=6))
def test_what_is_composed_is_read_again_part_by_part(parts):
    if len(parts) == 1 and not parts[0].body:
        return  # no body at all
    content, body = composed(parts)
    message = parse_message(request(headers=content, body=body))
    kinds = frozenset(each.kind for each in parts)
    assert passed_parts(message, kinds - {"application/sdp"}) == tuple(
        each for each in parts if each.kind != "application/sdp"
    )
    assert passed_parts(message, frozenset()) == ()


pieces = st.sampled_from(
    [b"--x", b"--x\r\n", b"--x--", b"\r\n", b"\r", b"--x--\r\n", b"Content-Type: multipart/mixed;boundary=x\r\n\r\n",
     b"Content-Type: application/isup\r\n\r\n", b"Content-Type: application/sdp\r\n\r\nv=0\r\n", b"\x00\xff", b" ",
     b"Content-ID: <a\r\nX: y>\r\n", b"Content-Disposition: a;handling=required\r\n"]
)  # fmt: skip


@given(st.lists(pieces, max_size=80).map(b"".join))
def test_hostile_bodies_are_read_within_limits_or_refused(body):
    message = parse_message(request(headers="Content-Type: multipart/mixed;boundary=x\r\n", body=body))
    assert isinstance(session_of(message), bytes)
    found = passed_parts(message, PASSED)
    assert len(found) <= PARTS_MAX
    assert all(is_writable(each) and each.kind in PASSED for each in found)
    try:
        unknown_types(message)
    except ParseError as error:
        assert error.status == 400  # noqa: PT017  some are refused, others are not
        assert found == ()


def test_parts_beyond_the_limit_over_all_levels_are_refused_and_none_takes_long():
    inner = b"--y\r\n\r\na\r\n" * 15 + b"--y--"
    body = b"".join(b"--x\r\nContent-Type: multipart/mixed;boundary=y\r\n\r\n" + inner + b"\r\n" for _ in range(2))
    for hostile in (body + b"--x--", b"--x\r\n" * 12_000, b"\r\n--x" + b" " * 60_000, b"\r\n--x \t" * 9_000):
        message = parse_message(request(headers="Content-Type: multipart/mixed;boundary=x\r\n", body=hostile))
        began = time.process_time()
        assert passed_parts(message, PASSED) == ()
        assert time.process_time() - began < 1
