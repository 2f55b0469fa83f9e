"""The media of calls: their silence, keys and sounds, what their records say of them, and going on after a restart."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from vosd.b2bua.boards import SoundOffer
from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.b2bua.snapshot.references import newcomer_of
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.host import bracketed
from vosd.engine.media.end_warning import warn_of_end
from vosd.engine.media.media_parts import MediaParts
from vosd.engine.media.moves import MovedCalls
from vosd.engine.media.music import plays_unseen
from vosd.engine.media.passing_session import PassingSession, limited
from vosd.engine.media.relayed_sessions import RelayedSessions
from vosd.engine.media.report import HeardSound, media_document
from vosd.engine.media.rtpengine_calls import POLL_MS, RtpEngineCalls
from vosd.engine.media.sessions_at_rtpengines import SessionsAtRtpEngines
from vosd.engine.media.sides import address_of, side_of
from vosd.engine.media.silence import PortLife, silence_limit
from vosd.media.decision import decide
from vosd.media.leg_media import LegFigures, LegMedia, added
from vosd.media.source import RelayPort
from vosd.obs.events import log as _log
from vosd.sdp.media import BadSession, media_of, relayable
from vosd.sdp.security import Protection
from vosd.trunks.announcements import NO_SOUND, Announcements
from vosd.trunks.dialect import Passing
from vosd.trunks.media import MediaEngine

_LATE_FIGURES_MS: Final = 3_000
"""Figures of an rtpengine may come later than their interval by so much."""
_OPEN: Final = Protection.NONE  # access to enum members is slow


class LateFigures(Protocol):
    """The records of calls that are over (``vosd.engine.booking.late_media``)."""

    def expect(self, call_id: str) -> None:
        """Note that figures of a call that ends now will come, or that they will not."""

    def came(self, call_id: str, document: str | None) -> None:
        """Take the document of a call with its final figures; None = the one that its record has stands."""


class RelayedCalls:
    """The media of all calls, as these use them."""

    def __init__(
        self,
        parts: MediaParts,
        sessions: RelayedSessions,
        at_rtpengines: SessionsAtRtpEngines | None,
        moves: MovedCalls,
    ) -> None:
        self._parts = parts
        self._sessions = sessions
        self._at_rtpengines = at_rtpengines
        self._moves = moves
        self.keys: Final = parts.keys
        self.late: LateFigures | None = None
        """Receiver of documents that change after the end of their calls; None = there is none."""

    # -- silence, and the record --------------------------------------------------------------------------------

    def silence(self, call: Call, answered_at: Instant) -> Limit | None:
        """Return when silence ends an answered call, if nothing more comes; None = it does not."""
        callee = call.callee
        if callee is None:
            return None
        leg = call.caller.leg if callee.progress.has_left else callee.leg
        media = None if leg is None else leg.facts.media
        if media is None:
            return None
        is_relayed = media.is_relayed or (media.step is None and self._would_be_relayed(call))
        if not (media.ports or is_relayed):
            return None
        rtpengines, ports, relay = self._parts.rtpengines, self._parts.at_engines, self._parts.relay
        if rtpengines is None and relay is not None:
            life = PortLife(relay.last_packet, relay.receiving_since)
            return silence_limit(call, answered_at, life, is_relayed=is_relayed)
        asked: list[int | None] = []

        def last_packet(port: RelayPort) -> int | None:
            if rtpengines is not None and port.id < 0 and rtpengines.lost_at(port) is None:
                asked.append(rtpengines.asked_at(port))
            return ports.last_packet(port)

        life = PortLife(last_packet, ports.receiving_since)
        limit = silence_limit(call, answered_at, life, is_relayed=is_relayed)
        if limit is None or not asked:
            return limit
        known = [each for each in asked if each is not None]
        if len(known) < len(asked):
            return None  # its figures are not known yet
        if min(known) < limit.due_ms:  # what came since then is not known yet
            return limit._replace(due_ms=max(limit.due_ms, min(known) + POLL_MS + _LATE_FIGURES_MS))
        return limit

    def _would_be_relayed(self, call: Call) -> bool:
        """Return whether the media of an answered call would be relayed in which no side has described any.

        Nothing is decided by it: a session description that comes later may show a NAT.
        """
        caller, callee, parts = call.caller.leg, call.callee, self._parts
        if caller is None or callee is None or callee.progress.has_left or not parts.takes_calls:
            return False
        if caller.sessions.remote or callee.leg.sessions.remote:
            return False
        one, other = (side_of(each, parts.listeners, b"") for each in (caller, callee.leg))
        return decide(parts.parameters, one, other).is_relayed

    def report(self, call: Call, ended_at: Instant) -> str | None:
        """Return the document of the CDR about the media of a call that is over; None = they were not relayed.

        Music that a side is played ends with the call.
        """
        parts, leg = self._parts, call.caller.leg
        caller = call.caller.left_media if leg is None else leg.facts.media
        callee = None if call.callee is None else call.callee.leg.facts.media
        if call.journey.vendor_answered_at is None or not _were_relayed(caller, callee):
            recording = call.journey.recording
            if not recording and (caller is None or not caller.played):
                return None
            engine = MediaEngine.RTPENGINE if parts.relay is None else MediaEngine.RELAY
            return media_document(engine, None, None, None, recording, _played(caller, None))
        one = None if caller is None else parts.figures_of(caller) if caller.ports else caller.ended
        other = None if callee is None else parts.figures_of(callee) if callee.ports else callee.ended
        engine, has_replaced = MediaEngine.RELAY, False
        for media in (caller, callee):
            if media is None:
                continue
            if media.rtp_call is not None:
                engine = MediaEngine.RTPENGINE
            has_replaced = has_replaced or bool(media.replaced)
            if media.music is not None:
                parts.music.over(media, ended_at)
        recording = "" if callee is None else callee.recording or call.journey.recording
        played = _played(caller, callee)
        step = None if callee is None else callee.step
        caller_keys = None if caller is None or caller.protection is _OPEN else caller.protection.value
        callee_keys = None if callee is None or callee.protection is _OPEN else callee.protection.value

        def document(one: LegFigures | None, other: LegFigures | None) -> str:
            if has_replaced:
                one, other = self._with_replaced(caller, one), self._with_replaced(callee, other)
            return media_document(engine, step, one, other, recording, played, (caller_keys, callee_keys))

        if engine is MediaEngine.RTPENGINE:
            self._await_figures(call, ended_at, (caller, callee), (one, other), document, has_replaced=has_replaced)
        return document(one, other)

    def _with_replaced(self, media: LegMedia | None, own: LegFigures | None) -> LegFigures | None:
        """Return the figures of a side, with those of legs whose place its leg has taken."""
        rtpengines, before = self._parts.rtpengines, None
        for each in () if media is None else media.replaced:
            final = None if rtpengines is None else rtpengines.final_figures(each.number)
            before = added(before, final or each.figures)
        return added(before, own)

    def _await_figures(
        self,
        call: Call,
        ended_at: Instant,
        sides: tuple[LegMedia | None, LegMedia | None],
        figures: tuple[LegFigures | None, LegFigures | None],
        document: Callable[[LegFigures | None, LegFigures | None], str],
        *,
        has_replaced: bool,
    ) -> None:
        """Have the record of a call that is over get the figures that its rtpengine has with its last answer."""
        rtpengines, call_id = self._parts.rtpengines, call.arrival.call_id
        legs = call.caller.leg, None if call.callee is None else call.callee.leg
        if rtpengines is None:
            return
        late, known = self.late, list(figures)

        def came() -> None:
            for index, media in enumerate(sides):
                final = None if media is None else rtpengines.final_figures(media.number)
                known[index] = final or known[index]
            self._note_reported_losses(legs, known, ended_at)
            if late is not None:
                late.came(call_id, document(*known) if has_replaced or known != list(figures) else None)

        rtp_call = None if sides[1] is None else sides[1].rtp_call
        if late is not None:
            late.expect(call_id)
        if rtp_call is None or not rtpengines.when_final(rtp_call, came):
            came()

    def _note_reported_losses(
        self, legs: Sequence[Leg | None], figures: Sequence[LegFigures | None], now: Instant
    ) -> None:
        """Count the losses of streams that an rtpengine has forwarded, as the sides report them that received these.

        They are those of the whole way. rtpengine gives shares in whole percent: the counter of the peer is believed
        within that one.
        """
        if legs[0] is None:
            return  # the customer has left the call: its report is of a part of the other stream
        for index, leg in enumerate(legs):
            sent, received = figures[index], figures[1 - index]
            media = None if leg is None else leg.facts.media
            if leg is None or media is None or sent is None or received is None or sent.figures.expected:
                continue  # what the relay has measured is counted already
            if (report := received.figures.peer) is not None:
                packets, percent = sent.figures.packets_in, int(report.lost_percent)
                lost = max(packets * percent // 100, min(report.lost, packets * (percent + 1) // 100))
                self._parts.note_lost(leg, media, packets, lost, now)

    # -- sources to be judged -----------------------------------------------------------------------------------

    def leg_of(self, number: int) -> Leg | None:
        """Return a leg that has not ended, by its number."""
        return self._parts.legs.by_number.get(number)

    def judge_source(self, port: RelayPort, host: str, *, may_send: bool) -> None:
        """Take media from a host at a port, or drop them."""
        if self._parts.relay is not None:
            self._parts.relay.judge(port, host, may_send=may_send)

    # -- sounds -------------------------------------------------------------------------------------------------

    def sound_for(self, announcements: Announcements, reason: EndReason) -> str:
        """Return the name of the sound for a reason: of a trunk, else of the installation; empty = none."""
        of_all = self._parts.parameters.announcements
        if not announcements and not of_all:
            return NO_SOUND
        return announcements.get(reason.text, of_all.get(reason.text, NO_SOUND))

    def offer_sound(self, call: Call, name: str, times: int, most_ms: int, now: Instant) -> SoundOffer | None:
        """Return how a caller is played a sound so often, for a time at most; None = it cannot be."""
        leg = call.caller.leg
        if leg is None or call.caller.dialect.early_media is Passing.STRIP or not self._parts.takes_calls:
            return None
        return self._parts.callers_sounds.offer(leg, name, times, most_ms, self._parts.parameters, now)

    def sound_over(self, call: Call, now: Instant) -> None:
        """Play the caller nothing more."""
        leg = call.caller.leg
        if leg is not None and leg.facts.media is not None:
            self._parts.callers_sounds.end(leg.facts.media, now)

    def warn(self, leg: Leg) -> None:
        """Warn a side by a tone that its call is about to end, where there is one in the codec that it talks in."""
        parts, other = self._parts, self._parts.legs.partner(leg)
        if other is None:
            return
        sound = parts.music.sounds.get(parts.parameters.end_warning_sound)
        if parts.relay is not None:
            warn_of_end(leg, other, parts.relay, sound)
        if parts.engine_warnings is not None:
            parts.engine_warnings.warn(leg, sound)

    def sound_failed(self, port: int) -> Leg | None:
        """Note that the peer of a port is played nothing any more; return a leg whose announcement it was."""
        by_number = self._parts.legs.by_number
        # the port of an rtpengine's sound has the number of its leg
        legs = by_number.values() if port >= 0 else [leg] if (leg := by_number.get(-port)) else []
        for leg in legs:
            media = leg.facts.media
            if media is None:
                continue
            if media.announcement is not None and media.announcement.port.id == port:
                if media.announcement.rtp_call is None:  # else its rtpengine was lost, and has played a part
                    media.announcement.began_ms = 0
                return leg
            own = media.music_port
            if own is not None and own.id == port:
                self._parts.music.failed(media)
                leg.moved()
        return None

    def target_rings(self, call: Call, session: bytes, now: Instant) -> None:
        """Let a side that is transferred be played the early media of its target, or ring-back in place of music.

        A target that is consulted rings for who consults it: the side that is held keeps its music.
        """
        target = None if call.callee is None else call.callee.leg
        theirs = None if target is None else target.facts.media
        transfer = call.conversation.transfer
        held = None if transfer is None else transfer.side_of_target
        media = None if held is None else held.facts.media
        if target is None or theirs is None or held is None or media is None:
            return
        if media.music is None and not self._has_ringing(media):
            return
        theirs.parted = media.number, media.author
        has_media = bool(session and theirs.ports) and self._is_forwarded(
            session, PassingSession(held, media, target, theirs), now
        )
        if has_media and media.rtp_call is not None and self._parts.rtpengines is not None:
            self._parts.rtpengines.blocked.replaced(media.rtp_call, media.early_of or 0, theirs.number)
        self._parts.music.target_rings(media, theirs.number, now, has_media=has_media)
        held.call.board.moved(at_once=True)

    def _has_ringing(self, media: LegMedia) -> bool:
        """Return whether a side has the ringing of a target in place of music: who transfers has left, or holds it."""
        other = self._parts.legs.by_number.get(media.author)
        theirs = None if other is None else other.facts.media
        return media.early_of is not None and (theirs is None or theirs.is_held)

    def _is_forwarded(self, session: bytes, passing: PassingSession, now: Instant) -> bool:
        """Forward early media to a side that is sent no description of them; return whether it works."""
        body = limited(bytes(session), passing.theirs, passing.media)
        try:
            body = body and relayable(body)
            described = () if body is None else media_of(body)
        except BadSession:
            return False
        if not body or not described or not plays_unseen(passing.leg, passing.author, body):
            return False
        if self._at_rtpengines is not None and passing.media.rtp_call is not None:
            return self._at_rtpengines.is_forwarded(body, described, passing)
        return self._sessions.places(described, passing, now) is not None

    # -- a restart ----------------------------------------------------------------------------------------------

    def resume(self, call: Call, newcomer: Leg | None) -> None:
        """Go on with the media of a call of an earlier process, and of a newcomer that waits to replace a side.

        One that has lost some is offered others, as one whose rtpengine is lost.
        """
        parts, has_lost = self._parts, False
        for leg in (*call.conversation.all_legs, newcomer):
            if leg is None:
                continue
            if (media := leg.facts.media) is not None:
                if not parts.relays:  # the process before may have had a relay
                    media.ports, media.rtp_call, media.origin, media.is_relayed = (), None, "", False
                parts.legs.resume(leg, media)
                if media.announcement is not None:
                    parts.callers_sounds.resume(media, parts.parameters)
                if parts.rtpengines is not None:
                    parts.rtpengines.resume(media, bytes(leg.sessions.remote), bytes(leg.sessions.said))
                else:
                    media.rtp_call = None
                ports = [self._resumed_port(leg, media, index) for index in range(len(media.ports))]
                for port, resumed in zip(media.ports, ports, strict=True):
                    if port is not None and resumed is None:
                        _log.error(
                            "media_port_lost", call_id=call.arrival.call_id, port=f"{bracketed(port.host)}:{port.rtp}"
                        )
                        has_lost = True
                        media.is_moved = bool(media.origin)
                media.ports = tuple(ports)
                if any(port is None or parts.at_engines.last_packet(port) is None for port in ports):
                    media.watched_from = parts.began_ms
        if has_lost:
            self._moves.add(call)
        if len(call.conversation.parties) == 2:
            parts.keys.arrange(*call.conversation.parties)

    def _resumed_port(self, leg: Leg, media: LegMedia, index: int) -> RelayPort | None:
        """Go on with a port of an earlier process; None = it is lost, and the next description opens another one."""
        port, leg_ports = media.port(index), self._parts.leg_ports
        if port is None or port.id < 0:
            return None if self._parts.rtpengines is None else port
        announced = address_of(leg, self._parts.listeners, self._parts.addresses).announced
        return port if leg_ports is not None and leg_ports.resume(media, index, port, announced) else None

    def leave(self, call: Call) -> None:
        """Forget a call that was resumed and does not go on after all."""
        rtpengines, newcomer = self._parts.rtpengines, newcomer_of(call)
        self._moves.drop(call)
        for leg in (*call.conversation.all_legs, *(() if newcomer is None else (newcomer.leg,))):
            if (media := leg.facts.media) is not None:
                self._parts.legs.by_number.pop(media.number, None)
                self._parts.keys.forget(media)
                if rtpengines is not None:
                    for port in media.ports:
                        if port is not None and port.id < 0:
                            rtpengines.close(port)
                    rtpengines.leg_over(media)

    def all_resumed(self, now: Instant) -> None:
        """Close the ports of calls that do not go on: all that do have been resumed."""
        parts = self._parts
        self._give_back(now)
        if parts.leg_ports is not None:
            all_media = parts.legs.all_media()
            for media in all_media:
                if parts.recordings is not None:
                    parts.recordings.keep(media)
                parts.music.keep(media)
            for media in parts.leg_ports.resumed():
                leg = parts.legs.by_number.get(media.number)
                if leg is None:  # the switch could not go on with its call
                    continue
                partner = parts.legs.partner(leg)
                if partner is not None and not self._sessions.is_with_another(leg, partner):
                    self._sessions.connect_again(leg, partner)
                parts.music.resume(media, now)
            parts.leg_ports.relay.retain({port.id for media in all_media for port in media.open_ports()}, now)
            self._arrange_joined()
        if parts.rtpengines is not None:
            parts.rtpengines.begin(self._moves.engine_lost)
            self._block_parted(parts.rtpengines)
        if parts.engine_warnings is not None:
            for media in parts.legs.all_media():
                parts.engine_warnings.resume(media, parts.parameters.end_warning_sound)

    def _block_parted(self, rtpengines: RtpEngineCalls) -> None:
        """Block legs again whose readers have the media of another one now, until they describe theirs.

        A newcomer (INVITE with Replaces) waits for the answer of its reader, whose other side is not blocked yet.
        """
        by_number = self._parts.legs.by_number
        for leg in by_number.values():
            media = leg.facts.media
            reader = None if media is None or media.parted is None else by_number.get(media.parted[0])
            theirs = None if reader is None else reader.facts.media
            if reader is None or theirs is None or media is None or media.parted is None or media.rtp_call is None:
                continue
            if media.number in (theirs.author, theirs.early_of):
                if leg.route_choice is None and reader.facts.is_confirmed and not leg.facts.is_confirmed:
                    rtpengines.blocked.wait(media.rtp_call, media.number, media.parted[1])
                else:
                    rtpengines.blocked.described(media.rtp_call, media, theirs)
            elif theirs.early_of:
                rtpengines.blocked.replaced(media.rtp_call, media.number, theirs.early_of)

    def _give_back(self, now: Instant) -> None:
        """Connect legs again one of which has the media of a third leg, which has ended with the process.

        That is a newcomer whose INVITE with Replaces the other side had not answered, or the target of a transfer, of
        which a side that was held had the ringing in place of music.
        """
        all_media, by_number = self._parts.legs.all_media(), self._parts.legs.by_number
        readers = {media.author: media.number for media in all_media}
        for media in all_media:
            third = media.early_of if media.author in by_number else media.author
            if not media.author or third is None or third in by_number or media.number not in readers:
                continue
            call = by_number[media.number].call
            # a side that a transfer has left behind waits for the target, with music or ring-back
            if not isinstance(call, Call) or call.conversation.transfer is not None:
                continue
            gone = LegMedia(third, parted=(media.number, readers[media.number]))
            pair = self._sessions.give_back(gone, now)
            if pair is not None and self._at_rtpengines is not None and not self._at_rtpengines.go_on(*pair):
                self._moves.add(call)

    def _arrange_joined(self) -> None:
        """Arrange the keys of legs that a transfer has joined: each is of a call of its own, with one leg."""
        by_number = self._parts.legs.by_number
        for leg in by_number.values():
            other = None if leg.facts.media is None else by_number.get(leg.facts.media.author)
            if other is not None and other.call is not leg.call:
                self._parts.keys.arrange(leg, other)

    def listen(
        self,
        key_pressed: Callable[[int, str, int], None],
        sound_failed: Callable[[int], None],
        source_found: Callable[[RelayPort, int, str], None],
    ) -> None:
        """Let what the relay reports be processed.

        It reports a key (port, key, milliseconds), a port whose peer is not played its sound after all, and a source of
        media that is to be judged (port, number of the leg, address). Ports whose peers are played nothing any more are
        reported for rtpengines that are lost, too.
        """
        relay = self._parts.relay
        if relay is not None:
            relay.key_pressed, relay.sound_failed, relay.source_found = key_pressed, sound_failed, source_found
        if self._parts.rtpengines is not None:
            self._parts.rtpengines.sound_failed = sound_failed


def _played(caller: LegMedia | None, callee: LegMedia | None) -> list[HeardSound]:
    found: list[HeardSound] = []
    for side, media in (("caller", caller), ("callee", callee)):
        if media is not None and media.played:
            found += [HeardSound(side, each.name, each.codec, each.ms) for each in media.played]
    return found


def _were_relayed(caller: LegMedia | None, callee: LegMedia | None) -> bool:
    has_caller = caller is not None and caller.origin and (caller.ports or caller.ended)
    return bool(has_caller or (callee is not None and callee.origin and (callee.ports or callee.ended)))
