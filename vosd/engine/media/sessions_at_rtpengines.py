"""Session descriptions that wait for an rtpengine: for its ports, and where it terminates them, its keys and ICE."""

from collections.abc import Sequence
from typing import Final

from vosd.base.clock import Instant
from vosd.engine.media.encryption import digest_of
from vosd.engine.media.media_parts import MediaParts
from vosd.engine.media.passing_session import PassingSession, note_kind
from vosd.engine.media.relayed_sessions import RelayedSessions
from vosd.engine.media.rtpengine_calls import WAIT_MS, GivenPorts, RtpEngineCalls, RtpSessionWanted
from vosd.engine.media.sides import is_behind_nat
from vosd.engine.media.verdicts import unfit
from vosd.media.leg_media import MediaRefusal
from vosd.media.termination import MediaForm
from vosd.sdp.media import BadSession, Medium, media_of
from vosd.sdp.origin import succeeding
from vosd.sdp.security import (
    is_unprotected,
    mids_of,
    reachable_by_ice,
    terminated,
    with_bounded_mki,
    with_chosen_keys,
    with_usable_keys,
)
from vosd.sip.door.door import MessageChange, MessageWait, WaitingMessage
from vosd.sip.door.messages import OutgoingResponse, OutgoingSuccess
from vosd.trunks.media import Encryption

_REQUIRED: Final = Encryption.REQUIRED  # access to enum members is slow


class SessionsAtRtpEngines:
    """Asks rtpengines for the ports of legs, with which their descriptions leave."""

    def __init__(self, parts: MediaParts, rtpengines: RtpEngineCalls, sessions: RelayedSessions) -> None:
        self._parts = parts
        self._rtpengines = rtpengines
        self._sessions = sessions

    def wait_for_keys(
        self, waiting: WaitingMessage, passing: PassingSession, body: bytes, form: MediaForm
    ) -> MessageChange | MessageWait:
        """Let a description wait for the keys and ports of an rtpengine."""
        message, media = waiting.message, passing.media
        digest = digest_of(passing.theirs.number, body)
        if media.said_for == digest and passing.is_offer(message) and self._rtpengines.is_anchored(media):
            if isinstance(message, OutgoingSuccess | OutgoingResponse):  # it answers an unchanged offer
                chosen = with_chosen_keys(media.said, bytes(passing.leg.sessions.remote))
                if chosen != media.said:
                    media.said, media.is_moved = succeeding(chosen, media.said), True
                return MessageChange(body=media.said)
            media.offered_by = passing.theirs.number
            return MessageChange(body=media.said)
        try:
            body = with_usable_keys(reachable_by_ice(body, passing.author.host))
            described = media_of(body)
        except BadSession:
            return unfit(message, media, MediaRefusal.BAD_SESSION)
        if self.asks(waiting, passing, body, described, form, digest):
            return MessageWait(WAIT_MS, may_leave=False)
        return unfit(message, media, MediaRefusal.NO_MEDIA_PORT)

    def asks(
        self,
        waiting: WaitingMessage,
        passing: PassingSession,
        body: bytes,
        described: Sequence[Medium],
        form: MediaForm | None = None,
        digest: str = "",
    ) -> bool:
        """Ask an rtpengine for ports, with which the message leaves; False = there is none to ask."""
        parts, message, author = self._parts, waiting.message, passing.author
        is_offer = passing.is_offer(message)
        is_hidden = is_behind_nat(author, next((each.host for each in described), ""))
        has_music = bool(parts.music.sounds)
        session = body
        if has_music and is_offer:
            session = parts.music.for_engine(body, passing.leg, passing.theirs, parts.parameters)
        wanted = RtpSessionWanted(
            with_bounded_mki(session),
            is_offer,
            passing.theirs,
            passing.media,
            author.host if is_hidden else None,
            passing.leg.host,
            parts.parameters.traffic_class,
            form,
        )

        def came(given: GivenPorts | None, now: Instant) -> None:
            if given is None:
                verdict = unfit(message, passing.media, MediaRefusal.NO_MEDIA_PORT)
                waiting.answer(verdict if isinstance(verdict, MessageChange) else None, now)
                return
            for index, medium in enumerate(described):
                if medium.port and medium.is_relayable:
                    passing.theirs.note_source(index, passing.source(medium, index))
            note_kind(described, passing.theirs, now)
            passing.media.offered_by = passing.theirs.number if is_offer else passing.media.offered_by
            session = body
            if has_music:
                session = parts.music.arrange(message, body, (passing.leg, author), parts.parameters, now)
            session = self._sessions.rewritten(session, given.places, passing.leg, passing.media)
            if form is not None:
                session = terminated(session, given.session, mids_of(bytes(passing.leg.sessions.remote)))
                if passing.media.settings.encryption is _REQUIRED and is_unprotected(session):
                    verdict = unfit(message, passing.media, MediaRefusal.NOT_ENCRYPTED)
                    waiting.answer(verdict if isinstance(verdict, MessageChange) else None, now)
                    return
            passing.media.said, passing.media.said_for = session, digest
            waiting.answer(MessageChange(body=session), now)

        return self._rtpengines.ask(waiting, wanted, came)
