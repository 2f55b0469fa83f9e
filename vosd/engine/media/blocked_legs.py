"""Legs at rtpengines from which nothing is forwarded: the order is repeated until it is followed.

An rtpengine forwards media of a leg to every other one that it was ever connected with, until the call ends there. So
a leg is blocked that has not described its media, that has left a call which goes on, whose reader has the media of
another one now, or that holds a side with music.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import partial

from vosd.media.leg_media import LegMedia, RtpCall
from vosd.media.rtpengine_orders import OK, Done, EngineAnswer, MediaEngines, RtpBlock, RtpUnblock, naming_order


class BlockedLegs:
    """Blocks legs, and lets their media pass again."""

    def __init__(self, engines: MediaEngines, legs: Mapping[RtpCall, set[int]]) -> None:
        """``legs`` has the numbers of the legs of each call that have not left it."""
        self._engines = engines
        self._legs = legs
        self.held: dict[int, bool] = {}
        """Legs that are blocked, by their numbers, and whether that was lifted without an answer yet."""
        self._muted: dict[int, set[int]] = {}
        """Legs in place of which others are played music, and those others."""
        self.gone: dict[RtpCall, set[int]] = {}
        """Legs that have left calls which go on."""
        self._open: dict[int, int] = {}
        """Legs that were to be blocked, and are not, and the leg whose offer each has not answered; 0 = none."""
        self._newcomers: dict[int, int] = {}
        """Legs that wait for the answer of another one, and the leg that each replaces then."""

    def block(self, call: RtpCall, number: int, done: Done | None = None) -> None:
        """Forward nothing that comes from a leg."""
        self._engines.ask(RtpBlock(call=call.name, leg=str(number)), done or _ignore, engine=call.engine)

    def unblock(self, call: RtpCall, number: int) -> None:
        """Let media of a leg pass that has not left; where that fails, it is tried again by ``repeat``."""
        if number in self._legs.get(call, ()):
            self.held[number] = True
            done = partial(self._unblocked, call, number)
            self._engines.ask(RtpUnblock(call=call.name, leg=str(number)), done, engine=call.engine)

    def hold_back(self, call: RtpCall, number: int, offerer: int = 0) -> None:
        """Block a leg until it describes its media to another one, such as an ``offerer`` that it has not answered."""
        self.held[number] = False
        self.block(call, number, partial(self._answered, call, number, offerer))

    def wait(self, call: RtpCall, newcomer: int, replaced: int) -> None:
        """Block a leg that replaces another one, whose media pass until the other side has answered."""
        self._newcomers[newcomer] = replaced
        self.hold_back(call, newcomer)

    def described(self, call: RtpCall, author: LegMedia, reader: LegMedia) -> None:
        """Let media of an author pass; block the leg whose media its reader had before, and a reader without media.

        Until a leg has described its media an rtpengine takes any source at its port, strict or not.
        """
        if author.is_over or reader.is_over:
            self.found(call, [media.number for media in (author, reader) if media.is_over])
        if author.number in self.held:
            self.let_pass(call, author.number)
        if author.parted is not None and author.parted[0] == reader.number:
            self.replaced(call, author.parted[1], author.number)
        if reader.number in self._newcomers:
            self.let_pass(call, reader.number)
            self.replaced(call, self._newcomers.pop(reader.number), reader.number)
        if not reader.sources and reader.number not in self.held and not reader.is_over:
            self.hold_back(call, reader.number, author.number)

    def replaced(self, call: RtpCall, before: int, later: int) -> None:
        """Block a leg in place of whose early media those of a later one are forwarded: never those of two."""
        if before not in (0, later) and before in self._legs.get(call, ()) and self.held.get(before) is not False:
            self.hold_back(call, before)

    def let_pass(self, call: RtpCall, number: int) -> None:
        """Let media of a leg pass that was held back, unless music is played in place of them."""
        if number in self._muted:
            self.held.pop(number, None)
        elif number in self.held:
            self.unblock(call, number)

    def mute(self, call: RtpCall, number: int, listener: int) -> None:
        """Block a leg while another one is played music in place of its media."""
        self._muted.setdefault(number, set()).add(listener)
        self.block(call, number)

    def unmute(self, call: RtpCall, number: int, listener: int) -> None:
        """Let media of a leg pass again after music, unless it is held back for another reason, or by other music."""
        listeners = self._muted.pop(number, set()) - {listener}
        if listeners:
            self._muted[number] = listeners
        elif self.held.get(number) is not False:
            self.unblock(call, number)

    def listeners(self, number: int) -> Iterable[int]:
        """Return the legs that are played music in place of the media of this one."""
        return tuple(self._muted.get(number, ()))

    def joined(self, call: RtpCall, number: int) -> None:
        """Note that a leg has come to a call that others have left, or this one: it is blocked until described."""
        left = self.gone[call]
        if number in left:
            left.discard(number)
            self.held[number] = False
        for each in left & self._open.keys():
            self.left(call, each)

    def left(self, call: RtpCall, number: int) -> None:
        """Block a leg that has left a call which goes on.

        Where one leg is there alone, most calls are ending: it is blocked when another one comes, or by ``repeat``.
        """
        self.held.pop(number, None)
        if number in self._newcomers:
            del self._newcomers[number]
        self._muted.pop(number, None)
        self._open.pop(number, None)
        self.gone.setdefault(call, set()).add(number)
        if len(self._legs[call]) > 1:
            self.block(call, number, partial(self._answered, call, number, 0))
        else:
            self._open[number] = 0

    def found(self, call: RtpCall, numbers: Iterable[int]) -> None:
        """Block all of these legs, which an rtpengine has, that the switch does not know or has ended."""
        known = self._legs[call] | self.gone.get(call, set())
        for number in numbers:
            if number not in known:
                self.left(call, number)

    def resume(self, media: LegMedia) -> None:
        """Go on with a leg of an earlier process, which had it blocked if it has not described its media.

        Another one may be blocked as well, for one that has gone with that process: it is let through by ``repeat``.
        """
        self.held[media.number] = bool(media.sources)
        if media.music is not None and media.music.holder:
            self._muted.setdefault(media.music.holder, set()).add(media.number)

    def forget(self, call: RtpCall, numbers: Collection[int]) -> None:
        """Forget the legs of a call that is over, or lost."""
        for number in self.gone.pop(call, set()).union(numbers):
            self.held.pop(number, None)
            if number in self._newcomers:
                del self._newcomers[number]
            self._muted.pop(number, None)
            self._open.pop(number, None)

    def repeat(self, call: RtpCall) -> None:
        """Give the orders again that were not followed."""
        legs = self._legs[call]
        for number in [each for each in legs if each in self.held]:
            if self.held[number]:
                self.let_pass(call, number)
            elif number in self._open:
                self.hold_back(call, number, self._open.pop(number))
        for number in self.gone.get(call, set()) & self._open.keys():
            self.block(call, number, partial(self._answered, call, number, self._open.pop(number)))

    def _answered(
        self, call: RtpCall, number: int, offerer: int, answer: EngineAnswer | None, *, is_named: bool = False
    ) -> None:
        """Let media of a leg pass that has described them before this answer: a lost order is repeated late.

        A leg that its rtpengine does not know by its number is named, and blocked then.
        """
        is_blocked = answer is not None and answer.reply.result == OK
        if offerer and not is_named and answer is not None and not is_blocked and answer.reply.is_about_name:
            name = naming_order(call.name, str(offerer), str(number))
            self._engines.ask(name, _ignore, engine=call.engine)
            self.block(call, number, partial(self._answered, call, number, offerer, is_named=True))
            return
        if number in self._legs.get(call, ()):
            if self.held.get(number) is not False:
                self.held[number] = True
                self.let_pass(call, number)
            elif not is_blocked:
                self._open[number] = offerer
        elif not is_blocked and number in self.gone.get(call, ()):
            self._open[number] = offerer

    def _unblocked(self, call: RtpCall, number: int, answer: EngineAnswer | None) -> None:
        """Note that media of a leg pass; block it again where it has left meanwhile, or is to be blocked again."""
        if number in self.gone.get(call, ()):
            self.left(call, number)
        elif self.held.get(number) is False:
            self.hold_back(call, number)
        elif number in self._muted:
            self.held.pop(number, None)
            self.block(call, number)
        elif answer is not None and answer.reply.result == OK:
            self.held.pop(number, None)


def _ignore(_answer: EngineAnswer | None) -> None:
    """Wait for no answer."""
