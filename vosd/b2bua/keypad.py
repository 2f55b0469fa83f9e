"""Transfers by keys, for telephones without a transfer button: a key sequence configured by the operator.

The keys arrive as INFO (RFC 6086 legacy usage) from the calling side. One sequence begins a transfer, another one an
attended transfer, in which the telephone talks to the target first; the digits of the target follow, up to ``#`` or a
pause. While the target is called, or talked to, a third sequence cancels the transfer, and a fourth completes it. These
keys are answered here; all others are forwarded, including the first keys of a sequence, since it is not complete yet.
"""

import re
from typing import TYPE_CHECKING, Final, cast

from vosd.b2bua import referral
from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired, RequestArrived
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.body import media_type
from vosd.sip.wire.message import Request
from vosd.trunks.dialect import KEYS_MAX, TransferKeys

if TYPE_CHECKING:
    from vosd.b2bua.call import Call
    from vosd.b2bua.caller_leg import CallerLeg
    from vosd.b2bua.ports import Switchboard

SEQUENCE_MS: Final = 3_000
"""Longest pause between two keys of one sequence."""
DIALLED_MS: Final = 4_000
"""Pause after which a number is complete."""
DIGITS_MAX: Final = 32
END_OF_NUMBER: Final = "#"
_RELAY: Final = re.compile(rb"\s*Signal\s*=\s*([0-9A-D*#]{1,2})\s*(?:\r?\n|\Z)", re.IGNORECASE)
_PLAIN: Final = re.compile(rb"\s*([0-9A-D*#]{1,2})\s*\Z", re.IGNORECASE)
_BY_NUMBER: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
"""Events of RFC 4733, which some telephones send as numbers."""


def key_in(request: Request) -> str:
    """Return the key of an INFO; empty if it has none."""
    kind = media_type(request)
    if kind not in {"application/dtmf-relay", "application/dtmf"}:
        return ""
    found = _RELAY.match(request.body) or (_PLAIN.match(request.body) if kind == "application/dtmf" else None)
    if found is None:
        return ""
    written = found[1].decode().upper()
    return written if len(written) == 1 else _BY_NUMBER.get(written, "")


class Keypad:
    """The keys of one caller, from the first to the end of its leg."""

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
        """The last keys, each within ``SEQUENCE_MS`` of the one before."""
        self._pressed_at = 0
        self._digits: str | None = None
        """Digits of the target so far; None = no number is being dialled."""
        self._consults = False
        """Whether the transfer is attended."""
        self._until: Instant | None = None
        """Time limit for the next key."""
        self._alarm: Timer[TimerOwner] | None = None

    def restore(
        self,
        *,
        pressed: str,
        pressed_at: int,
        digits: str | None,
        consults: bool,
        until: Instant | None,
        alarm: Timer[TimerOwner] | None,
    ) -> None:
        """Go on as an earlier process has left it."""
        self._pressed = pressed
        self._pressed_at = pressed_at
        self._digits = digits
        self._consults = consults
        self._until = until
        self._alarm = alarm

    @property
    def call(self) -> "Call":
        """The call that is ended after an error here."""
        return cast("Call", self._leg.call)  # ``CallPort`` has no transfers

    def takes(self, event: RequestArrived) -> bool:
        """Process an INFO; return whether it was answered here, otherwise it is to be forwarded."""
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

    def alarm_fired(self, event: AlarmFired) -> None:
        """Call the dialled number, which is complete now; without one, stop waiting."""
        self._alarm = None
        if self._digits is not None:
            self._call_target(self._digits, event.at)

    def stop(self) -> None:
        """Stop collecting digits."""
        self._digits = self._until = None
        if self._alarm is not None:
            self._endpoint.call_off(self._alarm)
            self._alarm = None

    # -- inside -------------------------------------------------------------------------------------------------

    def _acts(self, now: Instant) -> bool:
        """Carry out the sequence that the last keys form; return False if they form none."""
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
        """Add one key to the target's number."""
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
        """Call the target if the call is still established; a refusal changes nothing."""
        self.stop()
        call = self.call
        if number and call.transfer is None and call.is_conversing and call.caller is self._leg:
            referral.by_keys(call, self._leg, number, self._board, now, consults=self._consults)
