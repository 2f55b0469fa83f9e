"""Values in the forms that VOS3000's parameters have."""

import re
from decimal import Decimal
from typing import Final, cast

from vosd.config.reader.fields import WHOLE, ExpectedError, FromText, milliseconds_of, plain
from vosd.net.marking import TrafficClass

_BYTE: Final = re.compile(r"(?:0x[0-9a-f]{1,2}|\d{1,3})\Z", re.ASCII | re.IGNORECASE)
_CHALLENGES_WRITTEN: Final = {401: "Unauthorized(401)", 407: "Proxy Authentication Required(407)"}
_CHALLENGES: Final = {
    spelling: status for status, written in _CHALLENGES_WRITTEN.items() for spelling in (written.lower(), str(status))
}
RESENDS_MAX: Final = 20
"""Entries of SS_SIP_RESEND_INTERVAL."""


def zero_or_one() -> FromText:
    """Read a switch that is written as 0 or 1."""

    def read(text: str) -> bool:
        if text not in {"0", "1"}:
            raise ValueError
        return text == "1"

    return FromText("0 or 1", read, lambda value: str(int(value)))


def on_or_off() -> FromText:
    """Read a switch that is written as On or Off; 1 and 0 are accepted."""

    def read(text: str) -> bool:
        return {"on": True, "1": True, "off": False, "0": False}[text.lower()]

    return FromText("On or Off", read, lambda value: "On" if value else "Off")


def divisor() -> FromText:
    """Read SS_SIP_SESSION_UPDATE_SEGMENT, which is often mistaken for an interval."""

    def read(text: str) -> int:
        if not WHOLE.match(text) or not 2 <= int(text) <= 10:
            hint = "; it divides the session interval and is no time itself" if WHOLE.match(text) else ""
            raise ExpectedError(f"{expected}{hint}")
        return int(text)

    expected = "a whole number from 2 to 10"
    return FromText(expected, read)


def traffic_class() -> FromText:
    """Read a TOS byte."""

    def read(text: str) -> TrafficClass:
        if not _BYTE.match(text):
            raise ValueError
        return TrafficClass(int(text, 16 if text[:2].lower() == "0x" else 10))

    return FromText("a byte from 0x00 to 0xfc, hexadecimal or decimal, whose two lowest bits are zero", read)


def traffic_class_byte() -> FromText:
    """Read a TOS byte as a number."""
    whole = traffic_class()
    return FromText(
        whole.expected, lambda text: cast("TrafficClass", whole.read(text)).byte, lambda byte: f"{byte:#04x}"
    )


def schedule() -> FromText:
    """Read up to twenty waits in seconds, separated by commas, as whole milliseconds."""

    def read(text: str) -> tuple[int, ...]:
        waits = text.split(",")
        if len(waits) > RESENDS_MAX:
            raise ValueError
        return tuple(milliseconds_of(each.strip(), 10, 600_000) for each in waits)

    def show(waits: tuple[int, ...]) -> str:
        return ",".join(plain(Decimal(each) / 1000) for each in waits)

    return FromText(f"1 to {RESENDS_MAX} positive numbers of seconds, separated by commas", read, show)


def payload(longest: int) -> FromText:
    """Read the content of a datagram as UTF-8; it may be empty, and line ends are allowed."""

    def read(text: str) -> bytes:
        data = text.encode()
        if len(data) > longest:
            raise ValueError
        return data

    return FromText(f"text of at most {longest} bytes", read, bytes.decode)


def challenge_status() -> FromText:
    """Read the status of a challenge, as VOS3000 writes it or as a number."""

    def read(text: str) -> int:
        return _CHALLENGES[text.lower()]

    return FromText(f"{' or '.join(_CHALLENGES_WRITTEN.values())}", read, _CHALLENGES_WRITTEN.__getitem__)
