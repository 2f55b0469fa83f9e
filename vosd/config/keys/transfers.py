"""``transfer_display`` and ``transfer_keys`` of phones and mapping gateways."""

import re
from typing import Annotated, Final, NamedTuple

from vosd.config.reader.fields import FromText, KeyProblemError, Keys
from vosd.trunks.dialect import KEYS_MAX, TransferDisplay

_SEQUENCE: Final = re.compile(rf"[0-9*#A-D]{{1,{KEYS_MAX}}}\Z")
_NUMBER: Final = re.compile(r"[0-9*#]{1,32}\Z")


class ShownNumber(NamedTuple):
    """The number that the target of a transfer is shown: of which party, or itself where it is fixed."""

    display: TransferDisplay = TransferDisplay.CALLER
    number: str = ""


def shown_number() -> FromText:
    """Read whose number the target of a transfer is shown."""

    def read(text: str) -> ShownNumber:
        for display in (TransferDisplay.CALLER, TransferDisplay.PHONE):
            if text.lower() == display.value:
                return ShownNumber(display)
        if not _NUMBER.match(text):
            raise ValueError
        return ShownNumber(TransferDisplay.NUMBER, text)

    return FromText("caller, phone, or 1 to 32 characters of 0-9, * and #", read, _write)


def _write(shown: ShownNumber) -> str:
    return shown.number or shown.display.value


_AT_ONE_TIME: Final = ({"blind", "attended"}, {"cancel", "end"})
"""Sequences between which the switch decides by what is pressed."""


def sequence() -> FromText:
    """Read a sequence of telephone keys."""

    def read(text: str) -> str:
        if not _SEQUENCE.match(text.upper()):
            raise ValueError
        return text.upper()

    return FromText(f"1 to {KEYS_MAX} keys of 0-9, *, # and A-D", read)


class TransferKeyKeys(Keys):
    """Telephone keys that transfer a call, by INFO or in media (docs/phones.md). Default: keys transfer no calls."""

    blind: Annotated[str, sequence()] = ""
    """Starts a transfer: the number follows, ended by ``#`` or a pause of 4 s."""
    attended: Annotated[str, sequence()] = ""
    """As ``blind``, but the telephone talks to the target until it hangs up or presses ``end``; the other party
    waits."""
    cancel: Annotated[str, sequence()] = ""
    """Cancels the transfer while the number is dialled, or the target is ringing or connected."""
    end: Annotated[str, sequence()] = ""
    """Hangs up the transferring telephone while the target is ringing or connected."""

    @property
    def is_given(self) -> bool:
        """Whether keys transfer calls at all."""
        return bool(self.blind or self.attended)

    def _judge(self) -> None:
        if (self.cancel or self.end) and not self.is_given:
            raise KeyProblemError("blind", "keys that start a transfer")
        written = [(name, text) for name in ("blind", "attended", "cancel", "end") if (text := getattr(self, name))]
        for name, text in written:
            for other, longer in written:
                if name != other and longer.endswith(text):
                    raise KeyProblemError(name, f"keys that {other} ({longer}) does not end with")
                if {name, other} in _AT_ONE_TIME and text in longer:  # the shorter ones would always come first
                    raise KeyProblemError(name, f"keys that {other} ({longer}) does not contain")
        if self.cancel.isdecimal():
            raise KeyProblemError("cancel", "keys with one of *, # and A-D: digits are those of the number")
