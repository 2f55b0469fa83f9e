"""Descriptions in the order of RFC 8866, for a reader that insists on it."""

import pytest
from doubles.data.odd_sessions import ODD, USUAL, changed, written

from vosd.sdp.media import Medium, media_of
from vosd.sdp.ordered import IN_ORDER, ordered

KINDS = {
    **ODD,
    "no origin": changed(USUAL[1]),
    "an origin with two users": changed(USUAL[1], "o=John Smith 1 1 IN IP4 192.0.2.10"),
}


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("name", KINDS)
def test_a_description_in_another_form_means_the_same_in_order(name, end):
    odd = written(*KINDS[name], end=end)
    assert IN_ORDER.match(odd) is None
    in_order = ordered(odd)
    assert IN_ORDER.match(in_order)
    assert media_of(in_order) == media_of(odd) == media_of(written(*USUAL))
    assert ordered(in_order) == in_order


@pytest.mark.parametrize(
    "lines",
    [
        USUAL,
        (
            *USUAL[:3],
            "i=x",
            "u=http://x",
            "e=a@b",
            "p=1",
            "c=IN IP6 2001:db8::1",
            "b=AS:64",
            "t=0 0",
            "a=x",
            *USUAL[5:],
        ),
        (*USUAL[:6], "i=x", "c=IN IP4 192.0.2.11", "b=AS:64", "a=sendrecv", "m=video 0 RTP/AVP 31"),
        ("v=0", "s=-", *USUAL[1:2], *USUAL[3:]),
    ],
)
def test_a_description_in_order_is_left_as_it_is(lines):
    assert IN_ORDER.match(written(*lines))
    assert IN_ORDER.match(written(*lines)[:-2])


def test_each_medium_has_its_own_address_and_attributes():
    odd = written(
        "x=1", *USUAL[:3], "a=group:BUNDLE 0", "m=audio 0 RTP/AVP 0", "m=audio 20000 RTP/AVP 8", "a=mid:0",
        "c=IN IP6 2001:db8::1", "b=AS:3", "m=video 20002 RTP/AVP 31", "c=IN IP4 192.0.2.11",
    )  # fmt: skip
    assert ordered(odd).decode().split("\r\n") == [
        "v=0", "o=- 1 1 IN IP6 2001:db8::1", "s=-", "t=0 0", "a=group:BUNDLE 0",
        "m=audio 0 RTP/AVP 0", "c=IN IP6 2001:db8::1",
        "m=audio 20000 RTP/AVP 8", "c=IN IP6 2001:db8::1", "a=mid:0",
        "m=video 20002 RTP/AVP 31", "c=IN IP4 192.0.2.11", "",
    ]  # fmt: skip


def test_many_lines_are_looked_at_once():
    """A form in which lines could belong to either of two places would take minutes to refuse."""
    long = written(*USUAL[:5], *["b=AS:1"] * 2_000, *USUAL[5:], *["b=AS:1"] * 2_000, "x=1")
    assert IN_ORDER.match(long) is None
    found: tuple[Medium, ...] = media_of(ordered(written(*USUAL[:5], *["b=AS:1"] * 200, *USUAL[5:], "x=1")))
    assert len(found) == 1
