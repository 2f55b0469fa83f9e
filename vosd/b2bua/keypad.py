"""Transfers by keys, for telephones without a transfer button: a key sequence configured by the operator.

The keys arrive from a telephone, which may be either side of the call, as INFO (RFC 6086 legacy usage) or, where its
media are relayed, as telephone events. One sequence begins a transfer, another one an attended transfer, in which the
telephone talks to the target first; the digits of the target follow, up to ``#`` or a pause. While the target is
called, or talked to, a third sequence cancels the transfer, and a fourth completes it. These keys are answered here;
all others are forwarded, including the first keys of a sequence, since it is not complete yet.
"""

import re
from typing import TYPE_CHECKING, Final, cast

import msgspec

from vosd.b2bua import referral
from vosd.b2bua.transferor import transferor_in
from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.media.keys import FLASH
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import AlarmFired
from vosd.sip.transaction.store import TimerOwner
from vosd.sip.wire.body import media_type
from vosd.sip.wire.message import Request
from vosd.trunks.dialect import KEYS_MAX, CallerDialect, TransferKeys

if TYPE_CHECKING:
    from vosd.b2bua.call import Call
    from vosd.b2bua.leg import Leg

SEQUENCE_MS: Final = 3_000
"""Longest pause between two keys of one sequence, from the answer to the INFO of one to the next one."""
DIALLED_MS: Final = 4_000
"""Pause after which a number is complete, from the answer to the INFO of its last key."""
DIGITS_MAX: Final = 32
END_OF_NUMBER: Final = "#"
USUAL_MS: Final = 160
"""Duration of a key of which only the name is known."""
_DURATION: Final = re.compile(rb"^[ \t]*Duration[ \t]*=[ \t]*(\d{1,5})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_RELAY: Final = re.compile(rb"^[ \t]*Signal[ \t]*=[ \t]*([0-9A-D*#!]{1,2})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_PLAIN: Final = re.compile(rb"\s*([0-9A-D*#]{1,2})\s*\Z", re.IGNORECASE)
_BY_NUMBER: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D", "16": FLASH}
"""Events of RFC 4733, which some telephones send as numbers."""


def key_in(request: Request) -> str:
    """Return the key of an INFO; empty if it has none."""
    kind = media_type(request)
    if kind not in {"application/dtmf-relay", "application/dtmf"}:
        return ""
    found = _RELAY.search(request.body) or (_PLAIN.match(request.body) if kind == "application/dtmf" else None)
    if found is None:
        return ""
    written = found[1].decode().upper()
    return written if len(written) == 1 else _BY_NUMBER.get(written, "")


def duration_in(request: Request) -> int:
    """Return the duration of the key of an INFO in milliseconds; ``USUAL_MS`` if it has none."""
    found = _DURATION.search(request.body)
    return int(found[1]) if found else USUAL_MS


class KeypadFacts(msgspec.Struct, array_like=True):
    """Facts of the keys of a leg: a field of it, at the end, is written to snapshots without another line."""

    pressed: str = ""
    """The last keys, each within ``SEQUENCE_MS`` of the one before."""
    pressed_at: int = 0
    digits: str | None = None
    """Digits of the target so far; None = no number is being dialled."""
    consults: bool = False
    """Whether the transfer is attended."""
    until: Instant | None = None
    """Time limit for the next key."""


class Keypad:
    """The keys of one leg, from the first one to its end."""

    __slots__ = ("_dialect", "_endpoint", "_keys", "_leg", "alarm", "facts")

    def __init__(
        self, endpoint: Endpoint, leg: "Leg", dialect: CallerDialect, keys: TransferKeys, facts: KeypadFacts
    ) -> None:
        """``dialect`` is that of the trunk or phone that presses the ``keys``."""
        self._endpoint = endpoint

        self._leg = leg
        self._dialect = dialect
        self._keys = keys
        self.facts = facts
        self.alarm: Timer[TimerOwner] | None = None

    @property
    def call(self) -> "Call":
        """The call that is ended after an error here."""
        return cast("Call", self._leg.call)  # ``CallPort`` has no transfers

    def is_for_transfer(self, key: str, now: Instant) -> bool:
        """Process a key; return whether it is one of a transfer, and not for the other side."""
        if key == FLASH:
            return False
        if self.facts.digits is not None:
            self._dial(self.facts.digits + key, now)
            return True
        self.facts.pressed = (
            (self.facts.pressed + key)[-KEYS_MAX:] if now.mono - self.facts.pressed_at <= SEQUENCE_MS else key
        )
        self.facts.pressed_at = now.mono
        if not self._acts(now):
            return False
        self.facts.pressed = ""
        return True

    def answered(self, now: Instant) -> None:
        """Count the pause before the next key from now, which a telephone that sends one INFO at a time held back."""
        self.facts.pressed_at = now.mono
        if self.facts.digits and not self._is_too_late(now):
            self._await_next(now)

    def answer_repeated(self, request: Request, now: Instant) -> None:
        """Process that an INFO has come again, and was answered again."""
        if key_in(request):
            self.answered(now)

    def alarm_fired(self, event: AlarmFired) -> None:
        """Call the dialled number, which is complete now; without one, stop waiting."""
        self.alarm = None
        if self.facts.digits is not None:
            self._call_target(self.facts.digits, event.at)

    def stop(self) -> None:
        """Stop collecting digits."""
        self.facts.digits = self.facts.until = None
        if self.alarm is not None:
            self._endpoint.call_off(self.alarm)
            self.alarm = None

    def _acts(self, now: Instant) -> bool:
        """Carry out the sequence that the last keys form; return False if they form none."""
        running = self.call.conversation.running
        if running is None:
            self.facts.consults = self._is(self._keys.attended)
            if not (self.facts.consults or self._is(self._keys.blind)) or not self.call.conversation.is_established:
                return False
            self.facts.digits = ""
            self.facts.until = now.plus(self._dialect.transfer_timeout_ms)
            self.alarm = self._endpoint.set_alarm(self, self.facts.until)
            return True
        if not running.is_transferor(self._leg):
            return False
        if self._is(self._keys.cancel):
            running.take_back(now)
            return True
        if self._is(self._keys.end):
            running.release_transferor(now)
            return True
        return False

    def _is(self, sequence: str) -> bool:
        return bool(sequence) and self.facts.pressed.endswith(sequence)

    def _dial(self, digits: str, now: Instant) -> None:
        """Add one key to the target's number."""
        if self._keys.cancel and digits.endswith(self._keys.cancel):
            self.stop()
        elif digits.endswith(END_OF_NUMBER):
            self._call_target(digits[:-1], now)
        elif len(digits) > DIGITS_MAX or self._is_too_late(now):
            self.stop()
        else:
            self.facts.digits = digits
            self._await_next(now)

    def _is_too_late(self, now: Instant) -> bool:
        return self.facts.until is None or now.mono >= self.facts.until.mono

    def _await_next(self, now: Instant) -> None:
        if self.alarm is not None:
            self._endpoint.call_off(self.alarm)
        self.alarm = self._endpoint.set_alarm(self, now.plus(DIALLED_MS))

    def _call_target(self, number: str, now: Instant) -> None:
        """Call the target if the call is still established; a refusal changes nothing."""
        self.stop()
        call = self.call
        transferor = transferor_in(call, self._leg) if number and call.conversation.may_be_transferred else None
        if transferor is not None and transferor.may_transfer:
            referral.by_keys(call, transferor, number, now, consults=self.facts.consults)
