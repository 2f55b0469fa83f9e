"""Calls at rtpengines: what leaves the door waits for the ports of an rtpengine, and figures are asked for in turn.

A call has one name at its rtpengine, made of the number of its first author, and each leg one tag, its number: so the
port of a leg stays through forks, failover, hold and transfer. Descriptions are rewritten here, by its ports.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

import msgspec

from vosd.base.clock import Clock, Instant
from vosd.engine.media.blocked_legs import BlockedLegs
from vosd.engine.media.counted_ports import CountedPorts
from vosd.media.figures import PortFigures
from vosd.media.leg_media import SEVERAL, LegFigures, LegMedia, RtpCall
from vosd.media.rtpengine_orders import (
    OK,
    PASSING,
    READING,
    WITHIN_MS,
    EngineAnswer,
    MediaEngines,
    RtpAnswer,
    RtpOffer,
    RtpOrder,
    RtpPlay,
    RtpQuery,
    RtpReply,
    RtpStopPlaying,
    answer_kind,
    session_order,
)
from vosd.media.source import RelayPort
from vosd.media.termination import BY_DTLS_OF_THE_WEB, MediaForm
from vosd.obs.events import log as _log
from vosd.obs.log import LogLimiter
from vosd.sdp.family import user_of_ice
from vosd.sdp.media import Medium, Place, media_of
from vosd.sdp.security import Protection, has_keys, has_unread_keys, protection_of, transport_of
from vosd.sip.door.door import WaitingMessage

POLL_MS: Final = 5_000
"""Interval at which the figures of each call are asked for."""
POLL_TICK_S: Final = 0.1
_UNKNOWN: Final = "Unknown call"
"""Error of an rtpengine that does not have the call."""
_ENDLESS: Final = 1_000_000
"""Repeats of music."""
WAIT_MS: Final = WITHIN_MS + 500
"""Longest wait of a message: the pool answers within less."""
FAILED_AT_ONCE: Final = 25
"""Most sounds of lost rtpengines that are reported in one turn, ten times a second."""


class RtpSessionWanted(msgspec.Struct, frozen=True, gc=False):
    """A description on its way, as an rtpengine has to know it."""

    session: bytes
    is_offer: bool
    author: LegMedia
    reader: LegMedia
    seen_at: str | None
    """The address that SIP of the author comes from, if it is behind NAT."""
    described: str
    """An address that the reader has described; empty = none, or by ICE those of either family."""
    reader_host: str
    tos: int
    form: MediaForm | None
    """Encryption and ICE for its reader; None = they are not terminated."""
    goes_on_passing: bool = False
    """Whether packets pass as they are, although its keys are known: it is an offer, and others are in use."""
    turns: bool = False
    """Whether its reader gets a port of another address family."""


class GivenPorts(msgspec.Struct, frozen=True, gc=False):
    """The ports of a leg at an rtpengine, one for each medium, and the reply that has them.

    There are none where it does not read the description (``RtpReply.is_about_session``).
    """

    places: Sequence[Place | None]
    reply: RtpReply


PortsCame = Callable[[GivenPorts | None, Instant], None]
"""Receiver of the ports of a leg; None = there are none."""
_KeyMarks = tuple[bool | None, bool | None]
"""``passes_keys`` of the author and the reader of a description."""


class RtpEngineCalls:
    """The calls of a switch that are at rtpengines."""

    def __init__(self, engines: MediaEngines, prefix: str, clock: Clock) -> None:
        """Names of calls begin with ``prefix``, which no other switch has; it contains no blank."""
        self.engines = engines
        self.prefix = prefix
        """Beginning of the names of all calls."""
        self._clock = clock
        self._log_limiter = LogLimiter()
        self.in_turn: Callable[[WaitingMessage, Callable[[Instant], None]], None]
        """Does something with a message between two events (``engine.loop``); set before the first message."""
        self._legs: dict[RtpCall, set[int]] = {}
        """Numbers of the legs of each call that have not ended."""
        self.blocked = BlockedLegs(engines, self._legs)
        self._sounds: dict[RtpCall, RelayPort] = {}
        """Ports of the sounds that callers are played, whose calls have no legs."""
        self._failed_sounds: OrderedDict[RtpCall, RelayPort] = OrderedDict()
        """Ports of sounds whose rtpengine is lost, until they are reported."""
        self.sound_failed: Callable[[int], None] = lambda _port: None
        """Gets the id of a port whose peer is played its sound no more: its rtpengine is lost."""
        self._pairs: dict[RtpCall, tuple[int, ...]] = {}
        """The two legs of a call one of which is over; empty where its rtpengine knows more, or may know more."""
        self._ending: dict[RtpCall, list[Callable[[], None]]] = {}
        """Calls that are over and whose last answer is awaited, and what to do when it has come."""
        self._given: dict[RtpCall, int] = {}
        """Number of descriptions that the rtpengine was given for each call."""
        self._answered: dict[RtpCall, Sequence[Medium]] = {}
        """Media of the last answer of each call to an offer that was not given again since."""
        self._asked: dict[WaitingMessage, bytes] = {}
        """Orders for messages that wait."""
        self._last_id = -1_000 * clock.now().wall
        """Ids of ports at rtpengines are negative, and unique over restarts."""
        self._ports = CountedPorts()
        self._report_lost: Callable[[set[int], Instant], None] = lambda _numbers, _now: None
        self._later: list[tuple[int, Callable[[], None]]] = []
        """Acts that are due later, and when on the monotonic clock."""
        self._lost_ports: dict[int, int] = {}
        """Ids of the ports of rtpengines that are lost, and when they were, on the monotonic clock."""
        self._gone: set[RtpCall] = set()
        """Calls that their rtpengine does not have any more: it was started anew while this switch was away."""
        self._due: OrderedDict[RtpCall, None] = OrderedDict()
        """Calls whose figures are asked for next, in turn."""
        self._round: float = 0.0

    def begin(self, lost: Callable[[set[int], Instant], None]) -> None:
        """Ping the rtpengines from now on, and end what is left over there: the calls that go on are known.

        ``lost`` is called with the numbers of the legs whose rtpengine is lost.
        """
        self._report_lost = lost
        self.engines.connect(self._lost, self.is_live)
        self.engines.begin()

    def _lost(self, engine: str) -> None:
        """Forget the calls of an rtpengine that is lost: the next descriptions of their legs go to another one."""
        self._lose([each for each in self._legs if each.engine == engine])

    def _lose(self, calls: Iterable[RtpCall]) -> None:
        lost: set[int] = set()
        for call in calls:
            legs = self._legs.pop(call, set())
            if call in self._sounds:
                self._failed_sounds[call] = self._sounds.pop(call)
            self.blocked.forget(call, legs)
            lost |= legs
            self._given.pop(call, None)
            self._answered.pop(call, None)
            self._pairs.pop(call, None)
            self._ports.release(call)
        now = self._clock.now()
        self._lost_ports.update(dict.fromkeys(self._ports.of_legs(lost), now.mono))
        if lost:
            self._report_lost(lost, now)
        self._report_failed_sounds()

    def _report_failed_sounds(self) -> None:
        reported = 0
        while self._failed_sounds and reported < FAILED_AT_ONCE:
            _, port = self._failed_sounds.popitem(last=False)
            self.sound_failed(port.id)
            reported += 1

    def is_anchored(self, media: LegMedia) -> bool:
        """Return whether a leg has ports of an rtpengine that works."""
        is_lost = any(port is not None and port.id in self._lost_ports for port in media.ports)
        return media.rtp_call in self._legs and not is_lost

    def is_live(self, engine: str, name: str) -> bool:
        """Return whether a call at an rtpengine goes on."""
        return RtpCall(engine, name) in self._legs

    # -- descriptions -------------------------------------------------------------------------------------------

    def ask(self, waiting: WaitingMessage, wanted: RtpSessionWanted, came: PortsCame) -> bool:
        """Ask for the ports of the reader of a description; False = there is no rtpengine to ask.

        ``came`` is called later, by ``in_turn``.
        """
        call = self._call_of(wanted)
        if call is None and wanted.form is not None and not wanted.is_offer:
            return False  # the keys that were offered are lost with the rtpengine that had them
        author, reader = wanted.author, wanted.reader
        name = f"{self.prefix}{author.number:x}" if call is None else call.name
        if call is None:
            author.passes_keys = reader.passes_keys = False
        marks = author.passes_keys, reader.passes_keys
        # an rtpengine that does not know the call has no offer to answer
        is_new = call is None or reader.number not in self._legs[call]
        before = reader.rtp_call
        has_moved = (
            is_new and call is not None and before is not None and before in self._legs and before.engine == call.engine
        )
        if has_moved and _has_new_media(wanted):
            name = f"{self.prefix}{author.number:x}.{reader.number:x}"  # its first author may have another call there
        order = _order_for(wanted, name, is_offer=wanted.is_offer or call is None, is_new=is_new)

        if call is not None:
            if has_moved:
                order = _with_new_handshake(order, wanted)
            self._count_given(call)
            if wanted.is_offer:
                self._answered.pop(call, None)
        author.rtp_partner = reader.number if author.rtp_partner in {0, reader.number} else SEVERAL
        reader.rtp_partner = author.number if reader.rtp_partner in {0, author.number} else SEVERAL
        answered = partial(self._ports_came, wanted, name, marks, came)
        return self.ask_in_turn(waiting, order, None if call is None else call.engine, answered)

    def _call_of(self, wanted: RtpSessionWanted) -> RtpCall | None:
        """Return the call that a description belongs to; None = its legs are in none that goes on."""
        first, second = wanted.author.rtp_call, wanted.reader.rtp_call
        if wanted.form is not None and _keeps_dtls_of_reader(wanted, wanted.form):
            first, second = second, first
        call = first if first in self._legs else second
        return call if call in self._legs else None

    def _ports_came(
        self,
        wanted: RtpSessionWanted,
        name: str,
        marks: _KeyMarks,
        came: PortsCame,
        answer: EngineAnswer | None,
        now: Instant,
    ) -> None:
        if answer is not None and answer.reply.result != OK:
            wanted.author.passes_keys, wanted.reader.passes_keys = marks
        came(self._taken(wanted, name, answer, now), now)

    def prepare(
        self,
        waiting: WaitingMessage,
        known: RtpSessionWanted,
        wanted: RtpSessionWanted,
        prepared: Callable[[Sequence[Place | None], Instant], None],
    ) -> bool:
        """Give an rtpengine an offer that its reader is not sent before a description that is ``wanted``.

        ``prepared`` is called later, as by ``ask``, with the ports of its reader, none where the rtpengine has not
        taken it; False = their rtpengine is lost.
        """
        call = self._call_of(wanted)
        if call is None:
            return False
        self._count_given(call)
        marks = known.author.passes_keys, known.reader.passes_keys

        def answered(answer: EngineAnswer | None, now: Instant) -> None:
            is_refused = answer is not None and answer.reply.result != OK
            if is_refused:
                known.author.passes_keys, known.reader.passes_keys = marks
            prepared(() if answer is None or is_refused else answer.reply.places, now)

        is_new = known.reader.number not in self._legs[call]
        order = _order_for(known, call.name, is_offer=True, is_new=is_new)
        return self.ask_in_turn(waiting, order, call.engine, answered)

    def repeat(self, offer: RtpSessionWanted, answer: RtpSessionWanted) -> None:
        """Give an rtpengine the offer and the answer of two legs again, which have their ports.

        Not the answer where it gets another description meanwhile: the latest one says which legs are connected.
        """
        call = offer.author.rtp_call
        if call is None or call != answer.author.rtp_call:
            return
        if not {offer.author.number, answer.author.number} <= self._legs.get(call, set()):
            return  # one of them was there before that rtpengine was started anew, and is moved later
        number = self._count_given(call)
        self._answered.pop(call, None)
        for author in (offer.author, answer.author):
            self.blocked.let_pass(call, author.number)
        later = [answer]
        if offer.reader.passes_keys and not has_unread_keys(offer.session):  # those of the second one are read, if any
            later.insert(0, offer)

        def give(wanted: RtpSessionWanted) -> None:
            order = _order_for(wanted, call.name, is_offer=wanted.is_offer)
            self.engines.ask(order, given, engine=call.engine)

        def given(reply: EngineAnswer | None) -> None:
            if later and reply is not None and reply.reply.result == OK and self._given.get(call) == number:
                give(later.pop(0))

        give(offer)

    def note_answer(self, call: RtpCall | None, described: Sequence[Medium]) -> bool:
        """Note an answer that is given next; return whether its offer has had one without some of its formats.

        ``described`` are its media; empty = they are not known.
        """
        if call is None or call not in self._legs:
            return False
        before, self._answered[call] = self._answered.get(call), described
        return before is not None and not (described and _formats(described) <= _formats(before))

    def _count_given(self, call: RtpCall) -> int:
        number = self._given[call] = self._given.get(call, 0) + 1
        return number

    def is_answered(self, wanted: RtpSessionWanted) -> bool:
        """Give an rtpengine an answer that its reader is not sent; False = it does not have both legs."""
        call = wanted.author.rtp_call
        if call is None or call not in self._legs or call != wanted.reader.rtp_call:
            return False
        self._count_given(call)
        self.engines.ask(_order_for(wanted, call.name, is_offer=False), _ignore, engine=call.engine)
        self.blocked.let_pass(call, wanted.author.number)
        return True

    def ask_in_turn(
        self,
        waiting: WaitingMessage,
        order: RtpOrder,
        engine: str | None,
        answered: Callable[[EngineAnswer | None, Instant], None],
    ) -> bool:
        """Give an order for a message that waits; ``answered`` is called later, by ``in_turn``.

        False = there is no rtpengine to give it to.
        """
        cookie = self.engines.ask(order, partial(self._answered_in_turn, waiting, answered), engine=engine)
        if cookie:
            self._asked[waiting] = cookie
        return bool(cookie)

    def _answered_in_turn(
        self,
        waiting: WaitingMessage,
        answered: Callable[[EngineAnswer | None, Instant], None],
        answer: EngineAnswer | None,
    ) -> None:
        if self._asked.pop(waiting, None) is not None:  # else there was none to ask
            self.in_turn(waiting, partial(answered, answer))

    def keep(self, call: RtpCall, port: RelayPort) -> None:
        """Note that a call without legs of its own goes on, until ``leave``: the peer of a port is played a sound."""
        self._legs[call] = set()
        self._sounds[call] = port

    def leave(self, call: RtpCall) -> None:
        """End a call without legs of its own."""
        self._sounds.pop(call, None)
        self._failed_sounds.pop(call, None)
        if self._legs.pop(call, None) is not None:
            self.engines.forget(call.engine, call.name)

    def forget(self, waiting: WaitingMessage) -> bool:
        """Wait for an answer no more: the message was withdrawn, or its time is over; return whether none had come."""
        cookie = self._asked.pop(waiting, None)
        if cookie is not None:
            self.engines.cancel(cookie)
        return cookie is not None

    def _taken(
        self, wanted: RtpSessionWanted, name: str, answer: EngineAnswer | None, now: Instant
    ) -> GivenPorts | None:
        """Note the ports that an rtpengine has given to the reader, and return them."""
        if answer is None or answer.reply.result != OK:
            return GivenPorts((), answer.reply) if answer is not None and answer.reply.is_about_session else None
        given, described = answer.reply.places, media_of(wanted.session)
        if len(given) != len(described):
            return None
        call = RtpCall(answer.engine, name)
        for media in (wanted.author, wanted.reader):
            if media.number not in self._legs.get(call, ()) and not media.is_over:  # it may have ended meanwhile
                self._join(media, call)
        if call not in self._legs:
            self.engines.forget(call.engine, call.name)
        else:
            self.blocked.described(call, wanted.author, wanted.reader)
        if wanted.reader.is_over:
            return None
        places: list[Place | None] = []
        for index, place in enumerate(given):
            medium = described[index]
            is_used = place is not None and medium.port and medium.is_relayable
            places.append(place if is_used else None)
            if place is not None and is_used:
                self._note_place(wanted.reader, index, place, now)
        return GivenPorts(places, answer.reply)

    # -- sounds -------------------------------------------------------------------------------------------------

    def play(self, media: LegMedia, other: int, file: str, failed: Callable[[], None]) -> bool:
        """Play a file to a leg without end, in place of the media of another leg; False = it is at no rtpengine.

        ``other`` is 0 where these are blocked already, or pass to a third one. ``failed`` is called later if the
        rtpengine cannot: it has no such file, or no such codec.
        """
        call = media.rtp_call
        if call is None or call not in self._legs:
            return False

        def done(answer: EngineAnswer | None) -> None:
            if answer is None or answer.reply.result != OK:
                self.note_unplayed(file, call.engine, answer)
                failed()

        if other:
            self.blocked.mute(call, other, media.number)
        order = RtpPlay(call=call.name, leg=str(media.number), file=file, times=_ENDLESS)
        self.engines.ask(order, done, engine=call.engine)
        return True

    def note_unplayed(self, file: str, engine: str, answer: EngineAnswer | None) -> None:
        """Log that an rtpengine does not play a file."""
        if self._log_limiter.admits(engine, self._clock.now().mono):
            error = "no answer" if answer is None else answer.reply.error
            _log.warning("rtpengine_sound_refused", file=file, rtpengine=engine, error=error)

    def stop_playing(self, media: LegMedia, other: int) -> None:
        """Play nothing more to a leg, and let the media of the other one pass again."""
        call = media.rtp_call
        if call is not None and call in self._legs:
            self.engines.ask(RtpStopPlaying(call=call.name, leg=str(media.number)), _ignore, engine=call.engine)
            self.blocked.unmute(call, other, media.number)

    def let_consult(self, author: LegMedia, reader: LegMedia) -> None:
        """Let media of a leg pass to another one while a third one is played music in place of them.

        One of the two was offered the media of the other one: an rtpengine forwards to that one alone from then on.
        """
        call = author.rtp_call
        if call is not None and call == reader.rtp_call:
            for listener in self.blocked.listeners(author.number):
                if listener != reader.number:
                    self.blocked.unmute(call, author.number, listener)

    def _note_place(self, reader: LegMedia, index: int, place: Place, now: Instant) -> None:
        """Note the port of a medium; it keeps the id that it has."""
        known = reader.port(index)
        if known is None or known.id >= 0:
            port_id = self._last_id = self._last_id - 1
            self._ports.open(reader.number, index, port_id, now)
        else:
            port_id = known.id
            if port_id in self._lost_ports:
                del self._lost_ports[port_id]
                self._ports.count_anew(port_id, now)
        reader.note_port(index, RelayPort(port_id, place.host, place.rtp, place.rtcp))

    def _join(self, media: LegMedia, call: RtpCall) -> None:
        """Note that a leg is at a call; of another one it leaves."""
        before, media.rtp_call = media.rtp_call, call
        if before is not None and before != call:
            if before in self._legs:
                self._pairs[before] = ()
            self._leave(media.number, before)
            for port in media.ports:  # it counts the packets of its own calls
                if port is not None and port.id < 0:
                    self._ports.count_anew(port.id, self._clock.now())
        legs = self._legs.get(call)
        if legs is None:
            legs = self._legs[call] = set()
            self._due[call] = None
        legs.add(media.number)
        if call in self.blocked.gone:
            self.blocked.joined(call, media.number)

    def _leave(self, number: int, call: RtpCall) -> None:
        """Note that a leg has left a call, which ends with its last leg."""
        legs = self._legs.get(call)
        if legs is None:
            return
        legs.discard(number)
        if legs:
            self.blocked.left(call, number)
        else:
            del self._legs[call]
            self.blocked.forget(call, (number,))
            self._given.pop(call, None)
            self._answered.pop(call, None)
            self._end(call)

    def _end(self, call: RtpCall) -> None:
        """End a call at its rtpengine; the answer has its final figures where that is asked about one of its two legs.

        Of more legs it would end one. It is asked for their figures first, then.
        """
        pair, now = self._pairs.pop(call, ()), self._clock.now()
        if not self._ports.has_ended(call):
            self.engines.forget(call.engine, call.name)
            return
        self._ending[call] = []
        if pair:
            self.engines.forget(call.engine, call.name, str(pair[0]), partial(self._ended, call, now))
            return

        def asked(answer: EngineAnswer | None) -> None:
            self.engines.forget(call.engine, call.name)
            self._ended(call, now, answer)

        self.engines.ask(RtpQuery(call=call.name), asked, engine=call.engine)

    def _ended(self, call: RtpCall, now: Instant, answer: EngineAnswer | None) -> None:
        """Take the last figures of a call, which were asked for ``now``, and do what waits for them."""
        if answer is not None and answer.reply.result == OK:
            self._ports.count(answer.reply, now)
        acts = self._ending.pop(call)
        if not acts:  # a transfer has left its legs behind: the call that they belong to goes on elsewhere
            self._ports.note_final(call)
        try:
            for act in acts:
                act()
        finally:
            self._ports.release(call)

    # -- legs ---------------------------------------------------------------------------------------------------

    def leg_over(self, media: LegMedia, before: LegFigures | None = None, closed: LegFigures | None = None) -> None:
        """Note that a leg has ended, and the figures of ports ``before`` and of those that were ``closed`` now."""
        call = media.rtp_call
        if call is None or call not in self._legs:
            self._ports.forget_leg(media)
            return
        self._ports.keep_leg(media, call, before, closed)
        number, partner = media.number, media.rtp_partner
        pair = (min(number, partner), max(number, partner)) if partner > 0 else ()
        self._pairs[call] = pair if self._pairs.get(call, pair) == pair else ()
        self._leave(number, call)

    def final_figures(self, number: int) -> LegFigures | None:
        """Return the figures of a leg that is over, by the latest answer about it; None = no other ones are known."""
        return self._ports.final_figures(number)

    def when_final(self, call: RtpCall, act: Callable[[], None]) -> bool:
        """Do something once no later figures of the legs of a call that are over will come, within ``WITHIN_MS``.

        False = none are awaited. Until that is done ``final_figures`` has them.
        """
        acts = self._ending.get(call)
        if acts is not None:
            acts.append(act)
        elif call in self._legs and self._ports.has_ended(call):  # it goes on with other legs
            now = self._clock.now()

            def asked(answer: EngineAnswer | None) -> None:
                if answer is not None and answer.reply.result == OK:
                    self._ports.count(answer.reply, now)
                act()

            self.engines.ask(RtpQuery(call=call.name), asked, engine=call.engine)
        else:
            return False
        return True

    def resume(self, media: LegMedia, *descriptions: bytes) -> None:
        """Go on with a leg of an earlier process, whose latest ``descriptions`` are its own and the one it was sent."""
        if media.rtp_call is not None:
            if media.passes_keys is None:  # a version before noted it nowhere
                is_agreed = all(map(has_keys, descriptions)) and not media.is_terminated
                media.passes_keys = is_agreed and any(map(has_unread_keys, descriptions))
            self._join(media, media.rtp_call)
            self._pairs[media.rtp_call] = ()  # the leg of a newcomer that was not written down may be there, too
            self.blocked.resume(media)
            for index, port in enumerate(media.ports):
                if port is not None and port.id < 0:
                    self._ports.open(media.number, index, port.id, self._clock.now())
                    self._last_id = min(self._last_id, port.id)

    def figures(self, port: RelayPort) -> PortFigures:
        """Return the figures of an open port, as they were asked for last."""
        return self._ports.figures(port.id)

    def close(self, port: RelayPort) -> PortFigures:
        """Return the last figures of a port."""
        self._lost_ports.pop(port.id, None)
        return self._ports.figures(port.id)

    def asked_at(self, port: RelayPort) -> int | None:
        """Return when the figures of a port were asked for last, on the monotonic clock; None = they never were."""
        return self._ports.asked_at(port.id)

    def lost_at(self, port: RelayPort) -> int | None:
        """Return when the rtpengine of a port was lost, on the monotonic clock; None = it was not."""
        return self._lost_ports.get(port.id)

    def after(self, delay_ms: int, act: Callable[[], None]) -> None:
        """Do something when so much time has passed, up to ``POLL_TICK_S`` later."""
        self._later.append((self._clock.now().mono + delay_ms, act))

    def has_others(self, answer: EngineAnswer, call: RtpCall, number: int) -> bool:
        """Return whether media of another leg than this one have come that are forwarded, and the leg goes on."""
        others = {str(each) for each in self._legs.get(call, ()) if each != number and each not in self.blocked.held}
        return any(
            stream.stats.packets
            for tag, leg in answer.reply.tags.items()
            if tag in others
            for medium in leg.medias
            for stream in medium.streams
        )

    def poll(self) -> None:
        """Ask for the figures of some calls: of each once in ``POLL_MS``. Called every ``POLL_TICK_S``."""
        if self._later:
            now_ms = self._clock.now().mono
            due = [act for due_ms, act in self._later if due_ms <= now_ms]
            self._later = [each for each in self._later if each[0] > now_ms]
            for act in due:
                act()
        if self._gone:
            gone, self._gone = self._gone, set()
            self._lose(gone)
        elif self._failed_sounds:
            self._report_failed_sounds()
        self._round += len(self._due) * 1_000 * POLL_TICK_S / POLL_MS
        while self._round >= 1 and self._due:
            self._round -= 1
            call, _ = self._due.popitem(last=False)
            if call in self._legs:
                self._due[call] = None
                self.engines.ask(RtpQuery(call=call.name), partial(self._count, call), engine=call.engine)
                self.blocked.repeat(call)

    def _count(self, call: RtpCall, answer: EngineAnswer | None) -> None:
        if answer is None or call not in self._legs:
            return
        if answer.reply.result != OK:
            if _UNKNOWN in answer.reply.error:
                self._gone.add(call)
            return
        self._ports.count(answer.reply, self._clock.now())
        self.blocked.found(call, [int(tag) for tag in answer.reply.tags if tag.isdecimal()])


def _formats(described: Sequence[Medium]) -> set[tuple[int, str]]:
    return {pair for each in described for pair in zip(each.payloads, each.codecs, strict=True)}


def _order_for(wanted: RtpSessionWanted, call: str, *, is_offer: bool, is_new: bool = False) -> RtpOffer | RtpAnswer:
    """Return the order for a description; tags are those of the offer, also for its answer.

    ``is_new``: an offer makes the leg of its reader.

    It is given: both legs have noted what it says about their keys. Where it is refused, they note that it has not.
    """
    author, reader = str(wanted.author.number), str(wanted.reader.number)
    order = session_order(
        RtpOffer if is_offer else answer_kind(wanted.described, wanted.reader_host),
        call,
        wanted.session,
        author if is_offer else reader,
        reader if is_offer else author,
        trust=wanted.author.settings.source,
        seen_at=wanted.seen_at,
        reader_host=wanted.reader_host,
        tos=wanted.tos,
        form=wanted.form,
        goes_on_passing=wanted.goes_on_passing,
        is_new=is_new,
        turns=wanted.turns,
    )
    if wanted.form is not None and wanted.form.author_ice:
        wanted.author.ice_user = user_of_ice(wanted.session)
    if PASSING in order.flags:
        wanted.author.passes_keys = wanted.reader.passes_keys = True
    elif READING in order.flags:
        wanted.author.passes_keys = wanted.reader.passes_keys = False
    return order


def _has_new_media(wanted: RtpSessionWanted) -> bool:
    """Return whether the author of an offer by DTLS has begun its media anew: its next handshake is with a new peer.

    Telephones of PJSIP do where they are asked for an offer: their ICE has a new user, their role in DTLS is open. An
    rtpengine would leave that handshake unanswered, as it goes on with the DTLS of the leg (10.5.3, and later ones by
    ``a=tls-id``): so both legs come to another call there. Browsers are left out, which keep their DTLS.
    """
    if not wanted.is_offer or wanted.form is None or not wanted.form.author_ice:
        return False
    is_of_the_web = transport_of(wanted.session) == BY_DTLS_OF_THE_WEB
    is_open = b"a=setup:actpass" in wanted.session
    return is_open and not is_of_the_web and wanted.author.ice_user not in ("", user_of_ice(wanted.session))


def _with_new_handshake(order: RtpOffer | RtpAnswer, wanted: RtpSessionWanted) -> RtpOffer | RtpAnswer:
    """Return the order for a reader that comes from another call of its rtpengine; a browser makes a new handshake.

    All calls of an rtpengine have one certificate, and a browser makes a new handshake where the fingerprint is another
    one: so it is that of another hash function, as is needed by telephones with ICE, too. SHA-1 and SHA-256 are the
    ones that all of them read, PJSIP no others; SHA-1 suffices, as forgers would need a certificate for the given hash.
    Telephones without ICE make a new handshake for another port.
    """
    said, form = wanted.reader.said, wanted.form
    is_by_ice = form is not None and form.protection is Protection.DTLS and wanted.reader.has_ice
    if not is_by_ice or b"a=fingerprint:" not in said:
        return order
    digest = "SHA-1" if b"a=fingerprint:sha-256" in said else "SHA-256"
    return msgspec.structs.replace(order, digest=digest)


def _ignore(_answer: EngineAnswer | None) -> None:
    """Wait for no answer."""


def _keeps_dtls_of_reader(wanted: RtpSessionWanted, form: MediaForm) -> bool:
    """Return whether it is the author of an offer that leaves its call where two calls are joined.

    A reader by DTLS goes on with its handshake then.
    """
    is_by_dtls = wanted.is_offer and form.protection is Protection.DTLS
    return is_by_dtls and protection_of(wanted.session) is not Protection.DTLS
