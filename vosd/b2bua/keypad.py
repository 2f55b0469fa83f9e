"""Transfers by keys: a telephone without a button for them presses a sequence that the operator has chosen.

The keys come as INFO (RFC 6086 legacy usage) from the side that called. One sequence begins a transfer, another one a
transfer in which the telephone talks to the target first; the digits of the target follow, up to ``#`` or a pause.
While the target is called, or talked to, a third sequence takes the transfer back, and a fourth lets the telephone
leave. What is part of this is answered here; all other keys go on to the other side, and so do the first keys of a
sequence, as it is not known yet what they will become.
"""

import re
from typing import TYPE_CHECKING, Final

from vosd.b2bua import referral
from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmRang, RequestArrived
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.body import media_type
from vosd.sip.wire.message import Request
from vosd.trunks.dialect import KEYS_MAX, TransferKeys

if TYPE_CHECKING:
    from vosd.b2bua.call import Call
    from vosd.b2bua.caller_leg import CallerLeg
    from vosd.b2bua.ports import Switchboard

SEQUENCE_MS: Final = 3_000
"""The longest pause between two keys of one sequence."""
DIALLED_MS: Final = 4_000
"""A number is complete after such a pause."""
DIGITS_MAX: Final = 32
END_OF_NUMBER: Final = "#"
_RELAY: Final = re.compile(rb"\s*Signal\s*=\s*([0-9A-D*#]{1,2})\s*(?:\r?\n|\Z)", re.IGNORECASE)
_PLAIN: Final = re.compile(rb"\s*([0-9A-D*#]{1,2})\s*\Z", re.IGNORECASE)
_BY_NUMBER: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Events of RFC 4733, which some telephones write as they are."""


def key_in(request: Request) -> str:
    """Return the key that an INFO says was pressed; empty where it says none."""
    kind = media_type(request)
    if kind not in {"application/dtmf-relay", "application/dtmf"}:
        return ""
    found = _RELAY.match(request.body) or (_PLAIN.match(request.body) if kind == "application/dtmf" else None)
    if found is None:
        return ""
    written = found[1].decode().upper()
    return written if len(written) == 1 else _BY_NUMBER.get(written, "")


class Keypad:
    """The keys of one caller, from the first that it presses to the end of its leg."""

    __slots__ = (
        "_alarm",
        "_board",
        "_consults",
        "_digits",
        "_endpoint",
        "_keys",
        "_leg",
        "_pressed",
        "_pressed_at",
        "_until",
    )

    def __init__(self, endpoint: Endpoint, board: "Switchboard", leg: "CallerLeg", keys: TransferKeys) -> None:
        self._endpoint = endpoint
        self._board = board
        self._leg = leg
        self._keys = keys
        self._pressed = ""
        """The latest keys, each soon after the one before."""
        self._pressed_at = 0
        self._digits: str | None = None
        """The number of the target as far as it is dialled; None = none is."""
        self._consults = False
        """Whether the telephone is to talk to the target before it leaves."""
        self._until: Instant | None = None
        """When its last key may come."""
        self._alarm: Timer[TimerOwner] | None = None

    @property
    def call(self) -> "Call":
        """The call that suffers from a mistake here."""
        return self._leg.call

    def takes(self, event: RequestArrived) -> bool:
        """Hear an INFO; say whether it was answered here, else it is the other side's."""
        key, now = key_in(event.request), event.at
        if not key:
            return False
        if self._digits is not None:
            self._leg.respond(event.transaction, 200, now)
            self._dial(self._digits + key, now)
            return True
        self._pressed = (self._pressed + key)[-KEYS_MAX:] if now.mono - self._pressed_at <= SEQUENCE_MS else key
        self._pressed_at = now.mono
        if not self._acts(now):
            return False
        self._pressed = ""
        self._leg.respond(event.transaction, 200, now)
        return True

    def alarm_rang(self, event: AlarmRang) -> None:
        """Call the number that was dialled, which is complete now; where there is none, wait no more."""
        self._alarm = None
        if self._digits is not None:
            self._call_target(self._digits, event.at)

    def stop(self) -> None:
        """Dial no more."""
        self._digits = self._until = None
        if self._alarm is not None:
            self._endpoint.call_off(self._alarm)
            self._alarm = None

    # -- inside -------------------------------------------------------------------------------------------------

    def _acts(self, now: Instant) -> bool:
        """Do what the latest keys mean; False where they mean nothing here."""
        running = self.call.transfer
        if running is None:
            self._consults = self._is(self._keys.attended)
            if not (self._consults or self._is(self._keys.blind)) or not self.call.is_conversing:
                return False
            self._digits = ""
            self._until = now.plus(self._leg.dialect.transfer_timeout_ms)
            self._alarm = self._endpoint.set_alarm(self, self._until)
            return True
        if not running.is_under_way:
            return False
        if self._is(self._keys.cancel):
            running.take_back(now)
            return True
        if self._is(self._keys.end):
            running.release_transferor(now)
            return True
        return False

    def _is(self, sequence: str) -> bool:
        return bool(sequence) and self._pressed.endswith(sequence)

    def _dial(self, digits: str, now: Instant) -> None:
        """Take one more key of the target's number."""
        if self._keys.cancel and digits.endswith(self._keys.cancel):
            self.stop()
        elif digits.endswith(END_OF_NUMBER):
            self._call_target(digits[:-1], now)
        elif len(digits) > DIGITS_MAX or self._until is None or now.mono >= self._until.mono:
            self.stop()
        else:
            self._digits = digits
            if self._alarm is not None:
                self._endpoint.call_off(self._alarm)
            self._alarm = self._endpoint.set_alarm(self, now.plus(DIALLED_MS))

    def _call_target(self, number: str, now: Instant) -> None:
        """Call the target, where the call still stands; where that is refused the parties talk on."""
        self.stop()
        call = self.call
        if number and call.transfer is None and call.is_conversing and call.caller is self._leg:
            referral.by_keys(call, self._leg, number, self._board, now, consults=self._consults)
