"""What a side is sent in one dialog, accepted or refused, never has a version twice (RFC 3264 section 8)."""

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from vosd.b2bua.leg import Leg
from vosd.base.session_timer import SessionTimerSettings
from vosd.sdp.direction import inactive
from vosd.sdp.origin import alike
from vosd.sip.endpoint import Endpoint
from vosd.trunks.dialect import ReasonForm

FIRST = b"v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

SESSIONS = st.builds(
    lambda origin, version, port: FIRST.replace(b"o=- 1 1", b"o=%b %d" % (origin, version)).replace(
        b"4000", b"%d" % port
    ),
    st.sampled_from([b"- 1", b"- 2", b"other 1"]),
    st.integers(0, 9),
    st.sampled_from([4000, 4002, 4004]),
)
"""Descriptions of peers; after a transfer they come from another one, and some peers forget to raise the version."""

CHANGES = st.lists(st.tuples(st.sampled_from(["peer", "hold", "refresh"]), SESSIONS, st.booleans()), max_size=12)
"""What is sent: the description of a peer, the last one on hold, or the one in force; and whether it is accepted."""


def version_of(session: bytes) -> int:
    return int(session.split(b" ", 3)[2])


@given(first=SESSIONS, changes=CHANGES)
def test_a_version_that_was_used_is_not_used_for_another_description(
    first: bytes, changes: list[tuple[str, bytes, bool]]
) -> None:
    leg = Leg(cast("Endpoint", None), ReasonForm.BOTH, SessionTimerSettings())
    assert leg._as_sent(first) == first
    in_force, sent = first, {version_of(first): first}
    for kind, session, is_accepted in changes:
        before = leg.said
        assert before == in_force
        offer = leg._as_sent({"peer": session, "hold": inactive(before), "refresh": before}[kind])
        assert offer.split(b" ", 2)[:2] == first.split(b" ", 2)[:2], "the origin stays"
        if kind == "refresh":
            assert offer == in_force
        if kind == "peer":
            assert alike(offer, session)
            is_later = session.split(b" ", 2)[:2] == first.split(b" ", 2)[:2] and version_of(session) > max(sent)
            assert offer == session or not is_later, "a later version is forwarded byte for byte"
        assert sent.setdefault(version_of(offer), offer) == offer
        assert offer == in_force or version_of(offer) == max(sent), "only the session in force may follow later ones"
        if is_accepted:
            in_force = offer
        else:
            leg.session_refused(before)
