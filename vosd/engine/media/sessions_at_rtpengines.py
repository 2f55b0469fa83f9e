"""Session descriptions that wait for an rtpengine: for its ports, and where it terminates them, its keys and ICE."""

from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import msgspec

from vosd.b2bua.leg import Leg
from vosd.b2bua.renegotiation import as_reached
from vosd.base.clock import Instant
from vosd.engine.media.encryption import digest_of
from vosd.engine.media.media_parts import MediaParts
from vosd.engine.media.passing_session import PassingSession, limited, note_kind
from vosd.engine.media.relayed_sessions import RelayedSessions
from vosd.engine.media.rtpengine_calls import WAIT_MS, GivenPorts, PortsCame, RtpEngineCalls, RtpSessionWanted
from vosd.engine.media.sides import first_host, is_behind_nat, is_reached, reader_host_of
from vosd.engine.media.verdicts import unfit
from vosd.media.leg_media import LegMedia, MediaRefusal
from vosd.media.rtpengine_orders import OK
from vosd.media.source import MediaSource
from vosd.media.termination import MediaForm
from vosd.sdp.family import families_of_ice, host_of_ice
from vosd.sdp.media import BadSession, Medium, Place, SessionFault, audio_place, in_usual_form, media_of, relayable
from vosd.sdp.ordered import IN_ORDER, ordered
from vosd.sdp.origin import is_repeated, succeeding
from vosd.sdp.rewrite import Authored
from vosd.sdp.security import (
    has_keys,
    has_read_keys,
    is_unprotected,
    mids_of,
    reachable_by_ice,
    terminated,
    with_bounded_mki,
    with_chosen_keys,
    with_read_keys,
    with_usable_keys,
    without_alternatives,
    without_unread_keys,
)
from vosd.sip.door.door import MessageChange, MessageWait, WaitingMessage
from vosd.sip.door.messages import OutgoingResponse, OutgoingSuccess
from vosd.trunks.media import Encryption, IceMode, MediaTrust

_REQUIRED: Final = Encryption.REQUIRED  # access to enum members is slow
_LITE: Final = IceMode.LITE


class OfferKeptBack(NamedTuple):
    """An offer that is answered without its reader, which is not sent it."""

    body: bytes
    form: MediaForm
    """The form that it would have for its reader."""


class _AskedSession(NamedTuple):
    """A description for whose ports an rtpengine was asked."""

    waiting: WaitingMessage
    passing: PassingSession
    body: bytes
    described: Sequence[Medium]
    host: str
    """The address of its first medium."""
    is_offer: bool
    is_first: bool
    """Whether the reader had described no media yet."""
    form: MediaForm | None
    digest: str


class SessionsAtRtpEngines:
    """Asks rtpengines for the ports of legs, with which their descriptions leave."""

    def __init__(self, parts: MediaParts, rtpengines: RtpEngineCalls, sessions: RelayedSessions) -> None:
        self._parts = parts
        self._rtpengines = rtpengines
        self._sessions = sessions

    def wait_for_keys(
        self,
        waiting: WaitingMessage,
        passing: PassingSession,
        body: bytes,
        form: MediaForm,
        kept_back: OfferKeptBack | None,
    ) -> MessageChange | MessageWait:
        """Let a description wait for the keys and ports of an rtpengine, which gets the offer that it answers first."""
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
            before = () if kept_back is None else (self._offered(passing, kept_back),)
            body = _with_usable_keys(body, passing)
            described = media_of(body)
        except BadSession as bad:
            return unfit(message, media, MediaRefusal.BAD_SESSION, bad.fault)
        if (
            passing.is_offer(message)
            and described
            and _is_turned(passing.theirs, described[0].host, passing.author.host)
        ):
            return unfit(message, media, MediaRefusal.NO_COMMON_CODEC)  # an offer that turns its port would make keys
        if self.asks(waiting, passing, body, described, form, digest, before):
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
        before: Sequence[RtpSessionWanted] = (),
    ) -> bool:
        """Ask an rtpengine for ports, with which the message leaves; False = there is none to ask.

        It is given the offers ``before``.
        """
        parts = self._parts
        passing.media.refusal = passing.media.fault = None  # of a description before, such as that of early media
        is_offer = passing.is_offer(waiting.message)
        session, sent = body, waiting.message.body
        if form is None and isinstance(sent, Authored) and sent.is_repeated:
            session, described = _latest(passing, body, described)
        if parts.music.sounds and is_offer:
            session = parts.music.for_engine(session, passing.leg, passing.theirs, parts.parameters)
        host = described[0].host if described else ""
        wanted = self._wanted(passing, session, host, is_offer=is_offer, form=form)
        asked = _AskedSession(waiting, passing, body, described, host, is_offer, passing.is_first, form, digest)
        came = partial(self._ports_came, asked)
        if is_offer and passing.theirs.ports and _is_turned(passing.theirs, host, passing.author.host):
            return self._turn(waiting, passing, wanted, came)
        is_first_answer = not is_offer and form is None and not passing.leg.facts.is_confirmed
        has_other = is_first_answer and self._rtpengines.note_answer(passing.media.rtp_call, described)
        if form is None and is_offer and passing.media.passes_keys and passing.theirs.passes_keys:
            # the keys of before, which the rtpengine does not know, are in use until others are agreed on
            wanted = msgspec.structs.replace(wanted, goes_on_passing=has_read_keys(wanted.session))
            return self._rtpengines.ask(waiting, wanted, came)
        if before or has_other or passing.media.passes_keys or passing.theirs.passes_keys:
            before = (*before, *self._needed_before(passing, wanted, has_other=has_other))
            needs_all = wanted.is_offer or len(before) > 1  # not one for formats alone
            return self._asks_behind(before, waiting, wanted, came, needs_all=needs_all)
        return self._rtpengines.ask(waiting, wanted, came)

    def _ports_came(self, asked: "_AskedSession", given: GivenPorts | None, now: Instant) -> None:
        """Let a message leave with the ports that an rtpengine has given, or withhold it; None = there are none."""
        waiting, passing, body, host, form = asked.waiting, asked.passing, asked.body, asked.host, asked.form
        message, media = waiting.message, passing.media
        if given is not None and given.reply.result != OK:
            _withhold(waiting, media, MediaRefusal.BAD_SESSION, now, SessionFault.UNREAD)
            return
        if given is None or (not asked.is_offer and is_ignored(passing, host, body)):
            _withhold(waiting, media, MediaRefusal.NO_MEDIA_PORT, now)
            return
        self._note_sources(asked.described, passing)
        note_kind(asked.described, passing, now, message)
        if asked.is_offer:
            media.offered_by = passing.theirs.number
        if asked.is_first and (partner := self._parts.legs.partner(passing.author)) is not None:
            self._stay_connected(passing.author, partner, media)
        elif asked.is_offer and not asked.is_first:
            self._talk_on(passing)
        session, media.has_softened = body, False
        if self._parts.music.sounds and not asked.is_first:
            session = self._sessions.with_music(message, body, passing, given.places, now)
        said = media.said
        session = self._sessions.rewritten(session, given.places, passing.leg, media)
        if form is not None:
            session = terminated(session, given.reply.session, mids_of(bytes(passing.leg.sessions.remote)))
            if media.settings.encryption is _REQUIRED and is_unprotected(session):
                _withhold(waiting, media, MediaRefusal.NOT_ENCRYPTED, now)
                return
        if said and is_repeated(session, said):  # its author says the same as the one before, and the port is another
            session, media.is_moved = succeeding(session, said), True
        media.said, media.said_for, media.is_direct = session, asked.digest, False
        if passing.leg.facts.is_confirmed and session != said:  # no other description is to have its version
            passing.leg.call.board.moved(at_once=True)
        waiting.answer(MessageChange(body=session), now)

    def _offered(self, passing: PassingSession, kept_back: OfferKeptBack) -> RtpSessionWanted:
        """Return the offer of a reader as an rtpengine has to know it."""
        music, parameters = self._parts.music, self._parts.parameters
        offer = passing.back
        session = music.for_engine(_with_usable_keys(kept_back.body, offer), offer.leg, offer.theirs, parameters)
        return self._wanted(offer, session, first_host(session), is_offer=True, form=kept_back.form)

    def _needed_before(
        self, passing: PassingSession, wanted: RtpSessionWanted, *, has_other: bool
    ) -> Sequence[RtpSessionWanted]:
        """Return offers that an rtpengine (10.5.3) needs before a description, and whose readers are not sent them.

        Packets of a leg that it forwards as they are it reads from an offer on without ICE, and by keys of the next one
        alone. A second answer, which ``has_other`` formats, it converts into those of the first one, unless it has the
        offer again; where encryption or ICE is terminated, that would make other keys.
        """
        form, media, theirs = wanted.form, passing.media, passing.theirs
        if wanted.is_offer:
            has_ice = form is not None and (form.author_ice or form.reader_ice)
            is_read = form is not None or has_read_keys(wanted.session)
            if not (is_read and (media.passes_keys or (has_ice and theirs.passes_keys))):
                return ()
            without = None if form is None else form._replace(author_ice=False, reader_ice=False)
            return (msgspec.structs.replace(wanted, form=without),)
        if form is not None:
            return ()
        is_read = has_read_keys(wanted.session) and True in {media.passes_keys, theirs.passes_keys}
        if not (is_read or has_other):
            return ()
        offer = self._agreed(passing.back, is_offer=True)
        if offer is None:
            return ()
        return (_read(offer), _read(offer)) if is_read else (offer,)

    def _asks_behind(
        self,
        before: Sequence[RtpSessionWanted],
        waiting: WaitingMessage,
        wanted: RtpSessionWanted,
        came: PortsCame,
        *,
        needs_all: bool,
    ) -> bool:
        """Ask for ports behind offers that are given ``before``; False = there is no rtpengine to ask.

        ``needs_all``: where it refuses one of these, it would forget the keys of the next one, which is not given.
        """

        def given(places: Sequence[Place | None], now: Instant) -> None:
            is_left_out = needs_all and not places
            if is_left_out or not self._asks_behind(before[1:], waiting, wanted, came, needs_all=needs_all):
                came(None, now)

        if before and self._rtpengines.prepare(waiting, before[0], wanted, given):
            return True
        return self._rtpengines.ask(waiting, wanted, came)

    def _turn(
        self, waiting: WaitingMessage, passing: PassingSession, wanted: RtpSessionWanted, came: PortsCame
    ) -> bool:
        """Ask for ports for the reader of an offer whose author has come to another address family.

        An rtpengine ignores a place of another family than the author's port has there (seen with 10.5.3). So that port
        is turned first, by an offer of the other side; that is not possible where encryption or ICE is terminated.
        """
        known = self._agreed(passing.back, is_offer=True)
        if known is None:
            return self._rtpengines.ask(waiting, wanted, came)

        reader_host = first_host(wanted.session)
        is_six = ":" in reader_host

        def turned(places: Sequence[Place | None], now: Instant) -> None:
            if not any(each is not None and (":" in each.host) is is_six for each in places):
                _withhold(waiting, passing.media, MediaRefusal.NO_COMMON_CODEC, now)
            elif not self._rtpengines.ask(waiting, wanted, came):
                came(None, now)

        known = msgspec.structs.replace(known, reader_host=reader_host, turns=True)
        return self._rtpengines.prepare(waiting, known, wanted, turned)

    def _stay_connected(self, author: Leg, partner: Leg, newcomer: LegMedia) -> None:
        """Connect two legs again one of which has made an offer to a third; where they cannot be, when that ends."""
        media, theirs = author.facts.media, partner.facts.media
        if not self.go_on(author, partner) and media is not None and theirs is not None:
            newcomer.parted = media.number, theirs.number

    def _talk_on(self, passing: PassingSession) -> None:
        """Keep a leg connected with its other side until it has answered a newcomer (INVITE with Replaces).

        Where keys would be others, both are silent until then.
        """
        media, theirs, parted = passing.media, passing.theirs, passing.theirs.parted
        if passing.author.facts.is_confirmed or parted is None or parted[0] != media.number or theirs.rtp_call is None:
            return
        before = self._parts.legs.by_number.get(parted[1])
        other = None if before is None else before.facts.media
        if before is None or other is None or other.rtp_call != theirs.rtp_call or media.is_terminated:
            return
        if self.go_on(before, passing.leg):
            self._rtpengines.blocked.wait(theirs.rtp_call, theirs.number, parted[1])

    def go_on(self, one: Leg, other: Leg, *, turns: bool = False) -> bool:
        """Connect two legs again by the descriptions that they have agreed on; False = they have to agree anew.

        An rtpengine connects a leg with the one that got its latest offer, also if that is refused. Where encryption or
        ICE is terminated, the keys would be others. ``turns``: the other one goes back to a port of another address
        family.
        """
        media, theirs = other.facts.media, one.facts.media
        if media is None or theirs is None or media.rtp_call is None or media.rtp_call != theirs.rtp_call:
            return True
        if media.is_terminated or theirs.is_terminated:
            return False
        passing = PassingSession(other, media, one, theirs)
        offer, answer = self._agreed(passing, is_offer=True), self._agreed(passing.back, is_offer=False)
        if offer is not None and answer is not None:
            if turns:
                offer = msgspec.structs.replace(offer, turns=True)
            if has_read_keys(offer.session) or has_read_keys(answer.session):
                offer, answer = _read(offer), _read(answer)
            self._rtpengines.repeat(offer, answer)
        return True

    def note(self, described: Sequence[Medium], passing: PassingSession, now: Instant) -> None:
        """Note the sources of an author, and whether its description holds the media."""
        self._note_sources(described, passing)
        note_kind(described, passing, now)

    def is_forwarded(self, body: bytes, described: Sequence[Medium], passing: PassingSession) -> bool:
        """Forward media of an author to a reader that is not sent its description; return whether it works."""
        if passing.theirs.is_terminated or passing.media.is_terminated:
            return False
        self._note_sources(described, passing)
        call = passing.media.rtp_call
        if call is None or not self._rtpengines.is_answered(
            self._wanted(passing, body, first_host(body), is_offer=False)
        ):
            return False
        self._rtpengines.blocked.described(call, passing.theirs, passing.media)
        return True

    def keep_place(self, passing: PassingSession, body: bytes, now: Instant) -> None:
        """Connect two legs by the offer of one and the answer to it, which the author of that offer is not sent."""
        theirs, media = passing.theirs, passing.media
        if theirs.rtp_call is None or theirs.rtp_call != media.rtp_call:
            return
        if theirs.before_offer is not None or media.before_offer is not None:
            return  # the answer to that offer connects them
        try:
            described = media_of(relayable(body))
        except BadSession:
            return
        self.note(described, passing, now)
        self.go_on(passing.leg, passing.author)

    def keep_keys(self, passing: PassingSession, body: bytes, form: MediaForm) -> None:
        """Give an rtpengine an answer with the keys of its author, which its reader is not sent."""
        try:
            body = _with_usable_keys(body, passing)
            host = first_host(body)
        except BadSession:
            return
        self._rtpengines.is_answered(self._wanted(passing, body, host, is_offer=False, form=form))

    def _note_sources(self, described: Sequence[Medium], passing: PassingSession) -> None:
        passing.media.audio = passing.theirs.audio = audio_place(described)
        for index, medium in enumerate(described):
            if medium.port and medium.is_relayable:
                other, before = passing.media.source(index), passing.theirs.source(index)
                source = passing.source(medium, other, before, is_multiplexed=medium.is_multiplexed)
                passing.theirs.note_source(index, source)

    def _agreed(self, passing: PassingSession, *, is_offer: bool) -> RtpSessionWanted | None:
        """Return the description of an author that was agreed on last; None = it is not usable any more."""
        session = limited(bytes(passing.author.sessions.remote), passing.theirs, passing.media)
        if not session:
            return None
        try:
            session = relayable(session)
        except BadSession:
            return None
        if is_offer:
            music, parameters = self._parts.music, self._parts.parameters
            session = music.for_engine(session, passing.leg, passing.theirs, parameters)
        return self._wanted(passing, session, first_host(session), is_offer=is_offer)

    def _wanted(
        self, passing: PassingSession, session: bytes, host: str, *, is_offer: bool, form: MediaForm | None = None
    ) -> RtpSessionWanted:
        """Return a description as an rtpengine has to know it; ``host`` is the address of its first medium."""
        sources, reader_host = passing.media.sources, passing.leg.host
        described = "" if not sources or sources[0] is None else sources[0].host
        if passing.media.has_ice:
            described = host_of_ice(bytes(passing.leg.sessions.remote))
        if (":" in described) is not (":" in reader_host):
            reader_host = reader_host_of(passing.leg, described)
        session = with_bounded_mki(in_usual_form(session))
        if b"cfg:" in session:
            session = without_alternatives(session)
        if form is None and is_offer and b"a=crypto:" in session and not passing.theirs.passes_keys:
            session = with_read_keys(session, are_in_use=has_keys(bytes(passing.author.sessions.said)))
        if IN_ORDER.match(session) is None:
            session = ordered(session)
        return RtpSessionWanted(
            session,
            is_offer,
            passing.theirs,
            passing.media,
            passing.author.host if is_behind_nat(passing.author, host) else None,
            described,
            reader_host,
            self._parts.parameters.traffic_class,
            form,
        )


def _latest(passing: PassingSession, body: bytes, described: Sequence[Medium]) -> tuple[bytes, Sequence[Medium]]:
    """Return the latest description of an author, whose reader is sent one again, and its media.

    The author may have answered otherwise since, which its reader was not sent (``keep_place``). Where it has an offer
    that is open, that one is sent again.
    """
    latest = limited(bytes(as_reached(passing.author.sessions.remote, passing.leg)), passing.theirs, passing.media)
    if not latest or passing.theirs.before_offer is not None:
        return body, described
    try:
        latest = relayable(latest)
        media = media_of(latest)
    except BadSession:
        return body, described
    are_same = [bool(each.port) for each in media] == [bool(each.port) for each in described]
    return (latest, media) if are_same else (body, described)


def _withhold(
    waiting: WaitingMessage, media: LegMedia, refusal: MediaRefusal, now: Instant, fault: SessionFault | None = None
) -> None:
    """Withhold a message that has waited, or let it leave without its description (``unfit``)."""
    verdict = unfit(waiting.message, media, refusal, fault)
    waiting.answer(verdict if isinstance(verdict, MessageChange) else None, now)


def _is_turned(media: LegMedia, host: str, seen_at: str) -> bool:
    """Return whether a leg describes an address of another family than it did, if it did, and than its port has.

    The address says nothing where the rtpengine takes part in its ICE, which has candidates of either family.
    """
    before, port = media.audio_source, media.audio_port
    if media.has_ice or before is None or port is None or not is_reached(host, seen_at):
        return False
    family = ":" in host
    is_first = not before.host  # it was on hold from the start
    return (is_first or (":" in before.host) is not family) and (":" in port.host) is not family


def is_ignored(passing: PassingSession, host: str, answer: bytes) -> bool:
    """Return whether a leg answers with an address of another family than its port has, which an rtpengine ignores.

    By ICE, where no candidate is of a family of those that it was sent. Not where it described the family of its port
    before: media may go on as they were; nor where it is behind NAT and media are expected from the address that its
    SIP comes from (not with ``media_source: sdp``).
    """
    media, author = passing.theirs, passing.author
    port = media.ports[0] if media.ports else None
    if port is None or (":" in port.host) is (":" in host):
        return False
    if media.settings.ice is _LITE and (families := families_of_ice(answer)):
        return families.isdisjoint(families_of_ice(media.said))
    if not is_reached(host, author.host):
        return False
    if media.settings.source is not MediaTrust.SDP and is_behind_nat(author, host):
        return False
    before = media.audio_source
    return before is None or not before.host or (":" in before.host) is (":" in host)


def are_of_two_families(one: MediaSource | None, other: MediaSource | None) -> bool:
    """Return whether two sources have addresses of different families."""
    if one is None or other is None or not one.host or not other.host:
        return False
    return (":" in one.host) is not (":" in other.host)


def _read(wanted: RtpSessionWanted) -> RtpSessionWanted:
    """Return a description with keys alone that an rtpengine reads: these were agreed on."""
    return msgspec.structs.replace(wanted, session=without_unread_keys(wanted.session))


def _with_usable_keys(body: bytes, passing: PassingSession) -> bytes:
    """Return a description as an rtpengine can take it; raises ``BadSession``."""
    return with_usable_keys(reachable_by_ice(relayable(body), passing.author.host))
