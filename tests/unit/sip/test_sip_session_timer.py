"""What requests and their 2xx settle of a session timer, as the tables of RFC 4028 have it."""

import pytest
from doubles.virtual.probe import request

from vosd.base.clock import Instant
from vosd.base.session_timer import SessionTimerSettings
from vosd.sip.dialog.session_timer import SessionTimer
from vosd.sip.dialog.session_wish import Agreed, Side, Wish, objection
from vosd.sip.headers.session_expires import Refresher, SessionExpires
from vosd.sip.wire.parse import parse_message

THEN = Instant(1_000_000, 5_000_000)
SETTINGS = SessionTimerSettings()
UAC, UAS = Refresher.UAC, Refresher.UAS


def wish(headers):
    return Wish.of(parse_message(request(headers=headers)))


def answer(headers, status=200):
    lines = (
        f"SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
    )
    return parse_message(f"{lines}Call-ID: 1\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n".encode())


def after(seconds):
    return THEN.plus(1_000 * seconds)


# -- a request of the peer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "agreed", "lines"),
    [
        ("", None, ""),
        ("Supported: 100rel\r\n", None, ""),
        ("Supported: timer\r\n", (600, Side.US), "Require: timer\r\nSession-Expires: 600;refresher=uas\r\n"),
        ("k: 100rel,TIMER\r\n", (600, Side.US), "Require: timer\r\nSession-Expires: 600;refresher=uas\r\n"),
        ("Require: timer\r\nx: 300\r\n", (300, Side.US), "Require: timer\r\nSession-Expires: 300;refresher=uas\r\n"),
        ("Supported: timer\r\nSession-Expires: 1800\r\n", (600, Side.US),
         "Require: timer\r\nSession-Expires: 600;refresher=uas\r\n"),
        ("Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n", (300, Side.PEER),
         "Require: timer\r\nSession-Expires: 300;refresher=uac\r\n"),
        ("Supported: timer\r\nSession-Expires: 300;refresher=uas\r\n", (300, Side.US),
         "Require: timer\r\nSession-Expires: 300;refresher=uas\r\n"),
        # A Min-SE may make it longer than we want, and nothing may make it longer than what was offered.
        ("Supported: timer\r\nMin-SE: 900\r\n", (900, Side.US),
         "Require: timer\r\nSession-Expires: 900;refresher=uas\r\n"),
        ("Supported: timer\r\nSession-Expires: 1800\r\nMin-SE: 1000\r\n", (1000, Side.US),
         "Require: timer\r\nSession-Expires: 1000;refresher=uas\r\n"),
        ("Supported: timer\r\nMin-SE: 86400\r\n", (86_400, Side.US),
         "Require: timer\r\nSession-Expires: 86400;refresher=uas\r\n"),
        ("Supported: timer\r\nMin-SE: 86401\r\n", (600, Side.US),
         "Require: timer\r\nSession-Expires: 600;refresher=uas\r\n"),
        ("Supported: timer\r\nSession-Expires: 4000000\r\nMin-SE: 4000000\r\n", (600, Side.US),
         "Require: timer\r\nSession-Expires: 600;refresher=uas\r\n"),
        # A proxy has put it in: the peer knows nothing of it, so it is not required to.
        ("Session-Expires: 300\r\n", (300, Side.US), "Session-Expires: 300;refresher=uas\r\n"),
        ("Session-Expires: 300;refresher=uac\r\n", (300, Side.PEER),
         "Require: timer\r\nSession-Expires: 300;refresher=uac\r\n"),
    ],
)  # fmt: skip
def test_an_invite_settles_who_refreshes(headers, agreed, lines):
    timer = SessionTimer(SETTINGS)
    assert timer.accept(wish(headers), THEN) == lines
    assert timer.agreed == agreed
    assert timer.refreshed_at == THEN


@pytest.mark.parametrize(
    ("headers", "line"),
    [
        ("Supported: timer\r\nSession-Expires: 119\r\n", "Min-SE: 120\r\n"),
        ("Supported: timer\r\nSession-Expires: 120\r\n", None),
        ("Supported: timer\r\nSession-Expires: 0\r\n", "Min-SE: 120\r\n"),
        ("Session-Expires: 89\r\n", "Min-SE: 120\r\n"),  # no proxy may say that
        ("Session-Expires: 90\r\n", None),  # one may say this for a peer that would not understand 422 (section 8.1)
        ("Supported: timer\r\n", None),
        ("", None),
    ],
)
def test_too_small_an_interval_is_refused(headers, line):
    refusal = None if line is None else (422, line)
    assert objection(wish(headers), SessionTimerSettings(min_se_s=120)) == refusal
    assert objection(wish(headers), SessionTimerSettings(min_se_s=120, enabled=False)) is None


def test_who_needs_a_timer_where_there_is_none_is_refused():
    off = SessionTimerSettings(enabled=False)
    assert objection(wish("Require: timer\r\n"), off) == (420, "Unsupported: timer\r\n")
    assert objection(wish("Supported: timer\r\n"), off) is None
    assert objection(wish("Require: timer\r\n"), SETTINGS) is None


def test_a_trunk_without_timers_agrees_to_none():
    timer = SessionTimer(SessionTimerSettings(enabled=False))
    assert timer.accept(wish("Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n"), THEN) == ""
    timer.answered(answer("Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n"), THEN)
    assert (timer.agreed, timer.first_offer(), timer.offer()) == (None, "", "")


@pytest.mark.parametrize(
    ("before", "headers", "agreed"),
    [
        (Agreed(600, Side.US), "Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n", (300, Side.PEER)),
        (Agreed(600, Side.PEER), "Supported: timer\r\nSession-Expires: 300;refresher=uas\r\n", (300, Side.US)),
        (Agreed(600, Side.PEER), "Supported: timer\r\nSession-Expires: 300\r\n", (300, Side.PEER)),
        (Agreed(600, Side.US), "Supported: timer\r\nSession-Expires: 1800\r\n", (600, Side.US)),
        (Agreed(600, Side.PEER), "Supported: timer\r\n", (600, Side.PEER)),
        (Agreed(300, Side.PEER), "Supported: timer\r\nSession-Expires: 600\r\n", (300, Side.PEER)),
        # It no longer mentions timers: whichever side refreshed before, only we can now.
        (Agreed(600, Side.PEER), "", (600, Side.US)),
        (None, "Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n", (300, Side.PEER)),
        (None, "", None),
    ],
)
def test_a_later_request_may_change_it_all(before, headers, agreed):
    timer = SessionTimer(SETTINGS)
    timer.agreed = before
    said = timer.accept(wish(headers), after(7))
    assert timer.agreed == agreed
    assert ("Session-Expires" in said) == (agreed is not None)
    assert timer.refreshed_at == after(7)


# -- a request of ours --------------------------------------------------------------------------------------------


def test_the_first_invite_asks_to_refresh():
    assert SessionTimer(SETTINGS).first_offer() == "Session-Expires: 600;refresher=uac\r\nMin-SE: 90\r\n"
    short = SessionTimer(SessionTimerSettings(ttl_s=60, min_se_s=120))
    assert short.first_offer() == "Session-Expires: 120;refresher=uac\r\nMin-SE: 120\r\n"


@pytest.mark.parametrize(
    ("headers", "agreed"),
    [
        ("", None),
        ("Supported: timer\r\n", (600, Side.US)),
        ("Require: timer\r\nSession-Expires: 600;refresher=uac\r\n", (600, Side.US)),
        ("Session-Expires: 600;refresher=uas\r\n", (600, Side.PEER)),
        ("Session-Expires: 300;refresher=uac\r\n", (300, Side.US)),
        ("Session-Expires: 300\r\n", (300, Side.US)),
        ("Session-Expires: 1\r\n", (90, Side.US)),
        ("Session-Expires: 4294967295;refresher=uac\r\n", (600, Side.US)),
        # A peer that would refresh later than we asked for is refreshed by us.
        ("Session-Expires: 601;refresher=uas\r\n", (600, Side.US)),
        ("Session-Expires: 3600;refresher=uas\r\n", (600, Side.US)),
        ("Supported: timer\r\nSession-Expires: soon\r\n", (600, Side.US)),
        ("Session-Expires: soon\r\n", None),
    ],
)
def test_the_2xx_settles_who_refreshes(headers, agreed):
    timer = SessionTimer(SETTINGS)
    timer.answered(answer(headers), THEN)
    assert timer.agreed == agreed


def test_later_requests_keep_the_roles():
    timer = SessionTimer(SETTINGS)
    assert timer.offer() == ""
    timer.agreed = Agreed(300, Side.PEER)
    assert timer.offer() == "Session-Expires: 300;refresher=uas\r\nMin-SE: 90\r\n"
    timer.agreed = Agreed(300, Side.US)
    assert timer.offer() == "Session-Expires: 300;refresher=uac\r\nMin-SE: 90\r\n"


def test_a_2xx_is_held_to_what_its_request_offered_whatever_was_settled_meanwhile():
    timer = SessionTimer(SETTINGS)
    timer.agreed = Agreed(300, Side.US)
    timer.offer()
    timer.accept(wish("Supported: timer\r\nSession-Expires: 1800\r\nMin-SE: 900\r\n"), THEN)
    timer.answered(answer("Session-Expires: 900;refresher=uac\r\n"), THEN)
    assert timer.agreed == (300, Side.US)


def test_a_2xx_without_session_expires_leaves_the_refreshing_to_us():
    timer = SessionTimer(SETTINGS)
    timer.agreed = Agreed(300, Side.PEER)
    timer.answered(answer(""), THEN)
    assert timer.agreed == (300, Side.US)


def test_a_peer_that_asks_for_a_longer_interval_gets_it():
    timer = SessionTimer(SETTINGS)
    assert timer.accept_min_se(answer("Min-SE: 1200\r\n", 422))
    assert timer.first_offer() == "Session-Expires: 1200;refresher=uac\r\nMin-SE: 1200\r\n"
    assert not timer.accept_min_se(answer("Min-SE: 1200\r\n", 422))
    timer.answered(answer("Session-Expires: 1300;refresher=uac\r\n"), THEN)
    assert timer.offer() == "Session-Expires: 1200;refresher=uac\r\nMin-SE: 1200\r\n"


def test_a_refresh_asks_for_no_less_than_a_request_of_the_peer_did():
    """Section 5; one that is too large counts as none."""
    timer = SessionTimer(SETTINGS)
    for smallest in (150, 120, 86_401):
        timer.accept(wish(f"Supported: timer\r\nSession-Expires: 200\r\nMin-SE: {smallest}\r\n"), THEN)
    assert timer.offer() == "Session-Expires: 200;refresher=uac\r\nMin-SE: 150\r\n"


@pytest.mark.parametrize("headers", ["", "Min-SE: 600\r\n", "Min-SE: 90\r\n", "Min-SE: 86401\r\n", "Min-SE: x\r\n"])
def test_a_422_without_usable_min_se_is_a_refusal(headers):
    timer = SessionTimer(SETTINGS)
    assert not timer.accept_min_se(answer(headers, 422))
    assert timer.first_offer() == "Session-Expires: 600;refresher=uac\r\nMin-SE: 90\r\n"


# -- when ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "agreed", "refresh_s", "expires_s"),
    [
        (SessionTimerSettings(), (600, Side.US), 300, 600),
        (SessionTimerSettings(segment=3), (100, Side.US), 33, 100),
        (SessionTimerSettings(early_hangup_s=30), (600, Side.US), 300, 570),
        (SessionTimerSettings(early_hangup_s=3_600), (600, Side.US), 300, 300),
        (SessionTimerSettings(early_hangup_s=3_600, segment=10), (600, Side.US), 60, 60),
        (SessionTimerSettings(), (600, Side.PEER), None, 600),
        (SessionTimerSettings(early_hangup_s=30), (600, Side.PEER), None, 570),
        (SessionTimerSettings(early_hangup_s=250), (600, Side.PEER), None, 350),
        (SessionTimerSettings(early_hangup_s=3_600), (600, Side.PEER), None, 332),
        (SessionTimerSettings(early_hangup_s=3_600, segment=10), (600, Side.PEER), None, 332),
        (SessionTimerSettings(early_hangup_s=3_600), (60, Side.PEER), None, 60),
    ],
)
def test_refresh_and_expiry_follow_from_the_last_good_refresh(settings, agreed, refresh_s, expires_s):
    timer = SessionTimer(settings)
    assert timer.refresh_ms() is None
    timer.agreed, timer.refreshed_at = Agreed(*agreed), THEN
    assert timer.refresh_ms() == (None if refresh_s is None else THEN.mono + 1_000 * refresh_s)
    assert timer.lasts_ms() == 1_000 * expires_s


def test_where_no_timer_was_agreed_the_interval_is_the_one_that_we_ask_for():
    timer = SessionTimer(SessionTimerSettings(early_hangup_s=30))
    timer.refreshed_at = THEN
    assert (timer.refresh_ms(), timer.lasts_ms()) == (THEN.mono + 300_000, 570_000)


def test_written_headers_can_be_parsed():
    assert str(SessionExpires(600, UAC)) == "600;refresher=uac"
    assert str(SessionExpires(600, UAS)) == "600;refresher=uas"
    assert str(SessionExpires(600)) == "600"
