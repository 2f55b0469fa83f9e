"""Ring-back of an rtpengine for a caller whose callee rings without media of its own (``local_ring``, ADR 178).

The rtpengine gets an answer of the callee with an address of documentation (RFC 5737): so the caller has its port,
which the answer of the callee keeps. What the caller sends is kept back meanwhile.
"""

from typing import Final, NamedTuple

from vosd.b2bua.caller import Caller
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import SDP
from vosd.base.clock import Instant
from vosd.engine.media.ring_back import ringing_offer
from vosd.engine.media.rtpengine_calls import WAIT_MS, RtpEngineCalls
from vosd.engine.media.sides import is_behind_nat, reader_host_of
from vosd.engine.media.sounds_at_rtpengine import CODECS, NOWHERE, answer_by
from vosd.media.leg_media import LegMedia, RtpCall
from vosd.media.rtpengine_orders import OK, EngineAnswer, RtpPlay, RtpQuery, RtpStopPlaying, answer_kind, session_order
from vosd.media.termination import TerminatedSide, answered_form
from vosd.sdp.answering import playable_audio, sound_answer
from vosd.sdp.family import host_of_ice
from vosd.sdp.security import Protection, protection_of
from vosd.sip.door.door import MessageChange, MessageWait, WaitingMessage

LOOK_MS: Final = 500
"""Interval at which it is asked for media of the callee, which end the sound."""
_ENDLESS: Final = 1_000_000


class RingBack(NamedTuple):
    """Sound for a caller while its callee rings."""

    file: str
    delay_ms: int
    is_web: bool
    tos: int


class RingBackAtRtpEngines:
    """Callers that are played ring-back by rtpengines."""

    def __init__(self, calls: RtpEngineCalls) -> None:
        self._calls = calls

    def ask(self, waiting: WaitingMessage, inviter: Caller, callee: Leg, wanted: RingBack) -> MessageWait | None:
        """Let a ringing response wait for the port of a caller that is played ring-back; None = it is not.

        The first response of an attempt alone. A callee that is offered encryption would have to answer with keys: its
        caller gets the response as it is.
        """
        message, leg, progress = waiting.message, inviter.leg, inviter.progress
        media, attempt = leg.facts.media, callee.facts.media
        if media is None or attempt is None or (media.is_ringing and media.rings_for == attempt.number):
            return None
        call = media.rtp_call
        if call is None or attempt.rtp_call != call:
            return None
        audio, offer = playable_audio(attempt.said, CODECS), ringing_offer(leg, media, attempt)
        if audio is None or offer is None or protection_of(attempt.said) is not Protection.NONE:
            return None
        caller = TerminatedSide.described(media.settings, offer, is_web=wanted.is_web)
        described = "" if media.audio_source is None else media.audio_source.host
        if caller.makes_ice:
            described = host_of_ice(offer)
        reader_host = reader_host_of(leg, described)
        order = session_order(
            answer_kind(described, reader_host),
            call.name,
            sound_answer(attempt.said, audio, NOWHERE, attempt.number),
            str(media.number),
            str(attempt.number),
            trust=attempt.settings.source,  # it holds for the port from now on, whatever the callee's own answer says
            seen_at=callee.host if is_behind_nat(callee, "") else None,
            reader_host=reader_host,
            tos=wanted.tos,
            form=answered_form(caller, caller) if media.is_terminated else None,
        )

        def answered(answer: EngineAnswer | None, now: Instant) -> None:
            given = b"" if answer is None or answer.reply.result != OK else answer.reply.session
            session = None
            if given:
                session = answer_by(offer, given, media.number, CODECS, is_encrypted=media.is_terminated)
            if session is None or media.is_over or not progress.has_ring_back:  # the callee has media meanwhile
                waiting.answer(None, now)
                return
            media.is_ringing, media.rings_for = True, attempt.number
            self._calls.blocked.block(call, media.number)
            self._calls.after(wanted.delay_ms, lambda: self._begin(call, media, attempt.number, wanted.file))
            waiting.answer(MessageChange(headers=message.headers + SDP, body=session), now)

        if not self._calls.ask_in_turn(waiting, order, call.engine, answered):
            return None
        self._calls.note_answer(call, ())  # it is one in place of the callee's
        progress.has_ring_back = True
        return MessageWait(WAIT_MS)

    def _begin(self, call: RtpCall, media: LegMedia, callee: int, file: str) -> None:
        """Play the sound, unless the call was answered meanwhile, or another callee rings."""

        def is_wanted() -> bool:
            return media.is_ringing and media.rings_for == callee and not media.is_over

        if not is_wanted():
            return

        def done(answer: EngineAnswer | None) -> None:
            if answer is None or answer.reply.result != OK:
                self._calls.note_unplayed(file, call.engine, answer)
            else:
                self._calls.after(LOOK_MS, look)

        def look() -> None:
            """Ask whether media of a callee have come, which the caller is to get alone."""
            if is_wanted():
                self._calls.engines.ask(RtpQuery(call=call.name), looked, engine=call.engine)

        def looked(answer: EngineAnswer | None) -> None:
            if answer is not None and is_wanted() and self._calls.has_others(answer, call, media.number):
                self.stop(media)
            else:
                self._calls.after(LOOK_MS, look)

        order = RtpPlay(call=call.name, leg=str(media.number), file=file, times=_ENDLESS)
        self._calls.engines.ask(order, done, engine=call.engine)

    def stop(self, media: LegMedia) -> None:
        """Play the caller nothing more: the callee has media, or has answered."""
        if media.is_ringing and media.rtp_call is not None:
            media.is_ringing = False
            order = RtpStopPlaying(call=media.rtp_call.name, leg=str(media.number))
            self._calls.engines.ask(order, _ignore, engine=media.rtp_call.engine)
            self._calls.blocked.unblock(media.rtp_call, media.number)


def _ignore(_answer: EngineAnswer | None) -> None:
    """Wait for no answer."""
