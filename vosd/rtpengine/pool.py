"""The pool: which rtpengine gets an order, repeats, the next one after silence, and which of them work.

Time comes as arguments, and datagrams leave by a function: the sockets are in ``vosd.rtpengine.client``.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

import msgspec
from msgspec import UNSET

from vosd.media.rtpengine_orders import (
    BEHIND_COOKIE,
    LOAD_LIMIT,
    OK,
    WITHIN_MS,
    Done,
    EngineAnswer,
    RtpAnswerInAnyFamily,
    RtpBlock,
    RtpDelete,
    RtpList,
    RtpOffer,
    RtpOrder,
    RtpReply,
    RtpStatistics,
    datagram_of,
    missing_family,
    naming_order,
    reply_of,
)
from vosd.obs.events import GONE, Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.trunks.media import RtpEngine

REPEAT_MS: Final = 150
"""Time after which an order is sent again, with the same cookie: rtpengine answers it then from memory."""
SENDINGS: Final = 2
"""Sendings of an order to one rtpengine; after so many times ``REPEAT_MS`` the next one gets it."""
PING_MS: Final = 2_000
DOWN_AFTER: Final = 2
"""Unanswered pings in a row that take an rtpengine out of use."""
UP_AFTER: Final = 2
"""Answered pings in a row that bring it back."""
LATER_START_MS: Final = 1_500
"""A start that is later by so much is another one."""
SWEEP: Final = 1_000
"""Calls of an rtpengine that are compared with ours when it comes back: their names have to fit in a datagram."""
ORPHANS_MAX: Final = 20_000
"""Calls to be ended at an rtpengine that cannot be reached; more of them end by its own time-outs."""
DELETES_AT_ONCE: Final = 50
"""Left-over calls whose end an rtpengine is asked for at a time: its socket loses what comes faster than it reads."""
SETTLED_MS: Final = 60_000
"""There are ports again when a call gets some and none was refused for so long."""


Send = Callable[[bytes, str, int], None]
"""Sends a datagram to a host and a port; what cannot be sent is lost."""


class _Engine:
    """One rtpengine, as far as is known of it."""

    def __init__(self, config: RtpEngine) -> None:
        self.config = config
        self.is_up = True
        self.is_suspect = False
        """Whether it has not answered an order, and no ping since."""
        self.failures = 0
        self.successes = 0
        self.credit = 0
        """Calls that it is owed by its weight, in parts of the weight of all."""
        self.started_ms: int | None = None
        """Latest time of its start, by our clock; up to a second late, as its replies count whole seconds."""
        self.ports_used: float | None = None
        """Percentage of its ports that are in use, as it said last."""
        self.orphans: OrderedDict[str, None] = OrderedDict()
        """Calls that may be there and are not wanted."""
        self.names_late = False
        """Whether it knows a leg by its tag from an answer on alone, as it has shown."""
        self.ending: set[str] = set()
        """Left-over calls whose end it is asked for at present."""


class _Order(msgspec.Struct, eq=False):
    """An order that is not answered."""

    cookie: bytes
    order: RtpOrder
    datagram: bytes
    done: Done
    asked: int
    """Time at which it was given."""
    engine: _Engine
    others: Sequence[_Engine]
    """Rtpengines that are asked after this one."""
    makes_call: bool
    """Whether an rtpengine that has not answered may have a call that is not wanted there."""
    due: int = 0
    sendings: int = 0
    spare: tuple[_Engine, EngineAnswer] | None = None
    """An rtpengine with ports of the other address family, and its answer: they are taken where no other has any."""


class RtpEnginePool:
    """The rtpengines of the installation."""

    def __init__(
        self,
        engines: Sequence[RtpEngine],
        send: Send,
        token: str,
        *,
        lost: Callable[[str], None] = lambda _engine: None,
        is_live: Callable[[str, str], bool] = lambda _engine, _call: True,
        prefix: str = "",
    ) -> None:
        """Pings begin with ``begin``.

        ``token`` is random text, which makes cookies unique and not guessable. ``lost`` is called with the name of an
        rtpengine that does not work any more, or was started anew: its calls are gone. Calls at an rtpengine whose name
        begins with ``prefix`` and that are not live are ended when it is found; an empty prefix ends none.
        """
        self._engines = {each.name: _Engine(each) for each in engines}
        self._send = send
        self._token = token.encode()
        self._lost = lost
        self._is_live = is_live
        self._prefix = prefix
        self._numbers = count(1)
        self._orders: OrderedDict[bytes, _Order] = OrderedDict()
        """Orders by cookie, the one first that was sent first: so are the moments at which they are looked at."""
        self._next_ping: int | None = None
        self._now = 0
        self._exhausted: dict[str, int] = {}
        """Rtpengines that were the last to refuse a call because they were full, and when they did so last."""
        self._log_limiter = LogLimiter()

    @property
    def is_usable(self) -> bool:
        """Whether any rtpengine works."""
        return any(each.is_up for each in self._engines.values())

    def states(self) -> list[tuple[str, bool]]:
        """Return the name of each, and whether it works."""
        return [(name, each.is_up) for name, each in self._engines.items()]

    def ports_used(self) -> list[tuple[str, float]]:
        """Return which percentage of the ports of each rtpengine is in use that works and says so."""
        return [
            (name, each.ports_used)
            for name, each in self._engines.items()
            if each.is_up and each.ports_used is not None
        ]

    @property
    def waiting(self) -> int:
        """Number of orders that are not answered."""
        return len(self._orders)

    def connect(self, lost: Callable[[str], None], is_live: Callable[[str, str], bool]) -> None:
        """Set the receiver of rtpengines that are lost, and what says which calls go on."""
        self._lost, self._is_live = lost, is_live

    def begin(self, now_ms: int) -> None:
        """Ping all of them from now on."""
        self._next_ping = now_ms
        self.advance(now_ms)

    def replace(self, engines: Sequence[RtpEngine], now_ms: int) -> None:
        """Use these from now on; calls of one that is gone, or has moved, are lost."""
        self._now = now_ms
        before, self._engines = self._engines, {}
        for each in engines:
            known = before.get(each.name)
            if known is None or known.config[:3] != each[:3]:
                known = _Engine(each)
            known.config = each
            self._engines[each.name] = known
        for name, engine in before.items():
            if self._engines.get(name) is not engine:
                if not engine.is_up:
                    _log.info(Event.RTPENGINE_UP, rtpengine=name, why=GONE)
                engine.is_up = False
                self._lose(engine)
        for name in [each for each in self._exhausted if each not in self._engines]:
            self._note_room(name, why=GONE)

    def ask(self, order: RtpOrder, done: Done, now_ms: int, *, engine: str | None = None) -> bytes:
        """Send an order, and return its name for ``cancel``; empty if there is none to ask.

        ``engine`` is the one that has the call; None = the order makes the call: an rtpengine is chosen by weight, and
        the next one gets the order if it is silent, full, or has no ports of the address family. ``done`` is called
        once, by ``received`` or ``advance``, or at once if there is none to ask.
        """
        self._now = now_ms
        if engine is not None:
            known = self._engines.get(engine)
            if known is not None and known.is_up:
                return self._post(order, known, done)
        elif chosen := self._chosen():
            return self._post(order, chosen[0], done, chosen[1:], makes_call=True)
        done(None)
        return b""

    def cancel(self, cookie: bytes) -> None:
        """Wait for an answer no more; a call that the order has made is ended."""
        waiting = self._orders.get(cookie)
        if waiting is not None:
            self._remove(waiting)
            self._note_what_it_made(waiting)
            self._give_up_spare(waiting)

    def forget(self, engine: str, call: str, now_ms: int, leg: str = "", done: Done | None = None) -> None:
        """End a call at an rtpengine, now or as soon as it can be reached (``MediaEngines.forget``)."""
        self._now = now_ms
        known = self._engines.get(engine)
        if known is not None:
            if known.is_up:
                self._delete(known, call, leg, done)
                return
            self._note_orphan(known, call)
        if done is not None:
            done(None)

    def received(self, datagram: bytes, host: str, port: int, now_ms: int) -> None:
        """Take a datagram; one that answers no order is dropped."""
        self._now = now_ms
        cookie, _, content = datagram.partition(BEHIND_COOKIE)
        waiting = self._orders.get(cookie)
        if waiting is None:
            return
        engine = waiting.engine.config
        if engine.port != port or engine.host != host or (reply := reply_of(content)) is None:
            return
        del self._orders[cookie]
        if isinstance(waiting.order, RtpBlock) and reply.is_about_name:
            waiting.engine.names_late = True
        family = missing_family(waiting.order, reply)
        if family and isinstance(waiting.order, RtpOffer | RtpAnswerInAnyFamily):
            # its reader may take the other one, too: what it describes next shows that
            self._give_up_spare(waiting)
            waiting.spare = waiting.engine, EngineAnswer(engine.name, reply)
            self._next(waiting)
            return
        if not family and (reply.result == OK or not (reply.is_full or waiting.spare)):
            if waiting.spare is not None:
                self._give_up_spare(waiting)
            self._finish(waiting, EngineAnswer(engine.name, reply))
            return
        if reply.result != LOAD_LIMIT:
            self._note_what_it_made(waiting)
        if not self._next(waiting):
            self._note_full(engine.name, f"no interface of {family}" if family else reply.error or reply.result)

    def advance(self, now_ms: int) -> None:
        """Repeat orders, ask the next rtpengine, end orders whose time is over, and ping."""
        self._now = now_ms
        if self._next_ping is not None and now_ms >= self._next_ping:
            self._next_ping = now_ms + PING_MS
            for engine in self._engines.values():
                self._ping(engine)
        while self._orders and (waiting := next(iter(self._orders.values()))).due <= now_ms:
            self._look_at(waiting)

    def next_ms(self) -> int | None:
        """Return when ``advance`` has something to do; None = nothing is awaited."""
        ping = self._next_ping
        if not self._orders:
            return ping
        due = next(iter(self._orders.values())).due
        return due if ping is None else min(ping, due)

    def _chosen(self) -> list[_Engine]:
        """Return those that may get a call, the one whose turn it is first (smooth weighted round robin)."""
        up = [each for each in self._engines.values() if each.is_up]
        if len(up) < 2:
            return up
        working = [each for each in up if not each.is_suspect] or up
        weighted = [each for each in working if each.config.weight] or working
        total = 0
        for each in weighted:
            share = each.config.weight or 1
            each.credit += share
            total += share
        weighted.sort(key=lambda each: -each.credit)
        if weighted:
            weighted[0].credit -= total
        spare = [each for each in working if each not in weighted]
        return [*weighted, *spare, *(each for each in up if each not in working)]

    def _post(
        self, order: RtpOrder, engine: _Engine, done: Done, others: Sequence[_Engine] = (), *, makes_call: bool = False
    ) -> bytes:
        """Send an order to its first rtpengine under a new cookie, which it keeps at the next ones, for ``cancel``."""
        cookie = b"%b-%d" % (self._token, next(self._numbers))
        waiting = _Order(cookie, order, datagram_of(cookie, order), done, self._now, engine, others, makes_call)
        self._orders[cookie] = waiting
        self._dispatch(waiting)
        if engine.names_late and isinstance(order, RtpOffer) and order.branch is not UNSET and order.call is not UNSET:
            # before the next offer of its author: 12.5 would give its reader's tag to this leg
            self._post(naming_order(order.call, order.author, order.reader), engine, lambda _answer: None)
        return cookie

    def _dispatch(self, waiting: _Order) -> None:
        waiting.sendings += 1
        waiting.due = self._now + REPEAT_MS
        engine = waiting.engine.config
        self._send(waiting.datagram, engine.host, engine.port)

    def _look_at(self, waiting: _Order) -> None:
        """Go on with an order whose moment has come."""
        is_in_time = self._now < waiting.asked + WITHIN_MS
        if is_in_time and waiting.sendings < SENDINGS and not self._ends_another(waiting):
            self._orders.move_to_end(waiting.cookie)
            self._dispatch(waiting)
            return
        self._remove(waiting)
        self._note_what_it_made(waiting)
        if waiting.sendings >= SENDINGS and not isinstance(waiting.order, RtpStatistics | RtpDelete):
            self._suspect(waiting.engine)
        self._next(waiting)

    def _finish(self, waiting: _Order, answer: EngineAnswer) -> None:
        if self._exhausted and waiting.makes_call and answer.reply.result == OK:
            self._note_ports()
        waiting.done(answer)

    def _next(self, waiting: _Order) -> bool:
        """Give an order to the next rtpengine; False = it has failed: there is none, or no time, and no spare one."""
        is_late = self._now >= waiting.asked + WITHIN_MS
        others = [] if is_late else [each for each in waiting.others if each.is_up]
        if not others and waiting.spare is not None:
            self._finish(waiting, waiting.spare[1])
            return True
        if not others:
            waiting.done(None)
            return False
        waiting.engine, *waiting.others = others
        waiting.sendings = 0
        self._orders[waiting.cookie] = waiting
        self._dispatch(waiting)
        return True

    def _note_full(self, name: str, error: str) -> None:
        """Report that a call gets no ports: the last rtpengine that was asked has refused it."""
        self._exhausted[name] = self._now
        if self._log_limiter.admits(name, self._now):
            _log.error(Event.RTP_PORT_EXHAUSTED, rtpengine=name, error=error)

    def _note_ports(self) -> None:
        """Report the end of all refusals when none was for a while: a call has got ports, of whichever rtpengine."""
        if all(self._now - refused_ms >= SETTLED_MS for refused_ms in self._exhausted.values()):
            for name in list(self._exhausted):
                self._note_room(name)

    def _note_room(self, name: str, **facts: str) -> None:
        del self._exhausted[name]
        self._log_limiter.forget(name)  # it may be full again within its period
        _log.info(Event.RTP_PORTS_FREE, rtpengine=name, **facts)

    def _remove(self, waiting: _Order) -> None:
        del self._orders[waiting.cookie]

    def _suspect(self, engine: _Engine) -> None:
        """Ask an rtpengine that was silent whether it works, and prefer others until it says so."""
        if not engine.is_suspect:
            engine.is_suspect = True
            self._ping(engine)

    def _ping(self, engine: _Engine) -> None:
        asked = self._now

        def pinged(answer: EngineAnswer | None) -> None:
            if answer is None:
                self._unanswered(engine)
            else:
                self._answered(engine, answer.reply, asked)

        self._post(RtpStatistics(), engine, pinged)

    def _unanswered(self, engine: _Engine) -> None:
        engine.is_suspect = True
        engine.successes = 0
        engine.failures += 1
        if engine.is_up and engine.failures >= DOWN_AFTER:
            engine.is_up = False
            _log.error(Event.RTPENGINE_DOWN, rtpengine=engine.config.name)
            self._lose(engine)

    def _answered(self, engine: _Engine, reply: RtpReply, asked: int) -> None:
        """Take the reply to a ping, which may have waited here since it was ``asked``: the process stood still."""
        engine.failures, engine.is_suspect = 0, False
        engine.successes += 1
        engine.ports_used = reply.ports_used_percent
        before, is_another = engine.started_ms, False
        if reply.uptime_s is not None:
            engine.started_ms = self._now - 1_000 * reply.uptime_s
            is_another = before is not None and asked - 1_000 * reply.uptime_s > before + LATER_START_MS
        if is_another:
            engine.names_late = False  # it may be of another version
            engine.orphans.clear()
            if engine.is_up:
                _log.warning("rtpengine_restarted", rtpengine=engine.config.name)
                self._lose(engine)
        is_back = not engine.is_up and engine.successes >= UP_AFTER
        if is_back:
            engine.is_up = True
            _log.info(Event.RTPENGINE_UP, rtpengine=engine.config.name)
        if engine.is_up:
            if self._prefix and (is_back or before is None):
                self._sweep(engine)
            self._end_orphans(engine)

    def _lose(self, engine: _Engine) -> None:
        """Give the orders that one has not answered to the next ones, and report that its calls are gone."""
        for waiting in self._orders.values():
            if waiting.spare is not None and waiting.spare[0] is engine:
                waiting.spare = None
        for waiting in [each for each in self._orders.values() if each.engine is engine]:
            if self._orders.pop(waiting.cookie, None) is not None:  # else the end of one before it has withdrawn it
                self._note_what_it_made(waiting)
                self._next(waiting)
        self._lost(engine.config.name)

    def _sweep(self, engine: _Engine) -> None:
        """End the calls of ours that are not live: those of an earlier process, and of before it was lost."""

        def listed(answer: EngineAnswer | None) -> None:
            for call in () if answer is None else answer.reply.calls:
                if call.startswith(self._prefix) and not self._is_live(engine.config.name, call):
                    self._note_orphan(engine, call)

        self._post(RtpList(limit=SWEEP), engine, listed)

    def _note_what_it_made(self, waiting: _Order) -> None:
        """Remember to end the call that an order may have made at an rtpengine that will not have it."""
        call = waiting.order.call
        if waiting.makes_call and isinstance(call, str):
            self._note_orphan(waiting.engine, call)

    def _give_up_spare(self, waiting: _Order) -> None:
        """Remember to end the call that an order has made at the rtpengine whose ports are of the other family."""
        call = waiting.order.call
        if waiting.spare is not None and isinstance(call, str):
            self._note_orphan(waiting.spare[0], call)
            waiting.spare = None

    def _note_orphan(self, engine: _Engine, call: str) -> None:
        if len(engine.orphans) < ORPHANS_MAX:
            engine.orphans[call] = None

    def _end_orphans(self, engine: _Engine) -> None:
        """Ask for the end of as many left-over calls as may be asked for; each that has ended asks for the next."""

        def ended(answer: EngineAnswer | None) -> None:
            if answer is not None:
                self._end_orphans(engine)

        asked_for, later = self._asked_for(), []
        while engine.orphans and len(engine.ending) < DELETES_AT_ONCE:
            call, _ = engine.orphans.popitem(last=False)
            if call in asked_for:  # another INVITE of its caller may get ports there
                later.append(call)
            elif not self._goes_on(engine, call):  # else it has come back meanwhile
                engine.ending.add(call)
                self._delete(engine, call, done=ended)
        engine.orphans.update(dict.fromkeys(later))

    def _ends_another(self, waiting: _Order) -> bool:
        """Return whether an order for the end of a left-over call would by now end one of that name that is wanted."""
        order, engine = waiting.order, waiting.engine
        if not isinstance(order, RtpDelete) or order.call not in engine.ending:
            return False
        return self._goes_on(engine, order.call) or order.call in self._asked_for()

    def _goes_on(self, engine: _Engine, call: str) -> bool:
        return bool(self._prefix) and self._is_live(engine.config.name, call)

    def _asked_for(self) -> set[object]:
        """Return the names of the calls that orders without an answer make."""
        return {each.order.call for each in self._orders.values() if each.makes_call}

    def _delete(self, engine: _Engine, call: str, leg: str = "", done: Done | None = None) -> None:
        def deleted(answer: EngineAnswer | None) -> None:
            engine.ending.discard(call)
            if answer is None:
                self._note_orphan(engine, call)
            if done is not None:
                done(answer)

        self._post(RtpDelete(call=call, leg=leg or UNSET, delay_s=0), engine, deleted)
