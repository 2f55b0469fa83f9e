"""How the text of one value becomes a value, and the words for what was expected.

One ``FromText`` serves three readers: the model that converts, the problem that names what was expected, and
the generated reference.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from vosd.base.money import PLACES, parse_amount
from vosd.config.reader.problems import suggestion
from vosd.net.marking import TrafficClass
from vosd.sip.digest.hashing import Algorithm

_WHOLE: Final = re.compile(r"\d{1,12}\Z", re.ASCII)
_DECIMAL: Final = re.compile(r"\d{1,12}(\.(\d+))?\Z", re.ASCII)
_DIGITS: Final = re.compile(r"\d{1,32}\Z", re.ASCII)
_BYTE: Final = re.compile(r"(?:0x[0-9a-f]{1,2}|\d{1,3})\Z", re.ASCII | re.IGNORECASE)
_TECH_PREFIX: Final = re.compile(r"[0-9*#]{1,32}\Z")
_TELEPHONE: Final = re.compile(r"\+?[0-9*#]{1,32}\Z")
_CURRENCY: Final = re.compile(r"[A-Z]{3}\Z")
_NAME_CHARACTERS_MAX: Final = 64
_SWITCH: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}

_CHALLENGES_WRITTEN: Final = {401: "Unauthorized(401)", 407: "Proxy Authentication Required(407)"}
_CHALLENGES: Final = {
    spelling: status for status, written in _CHALLENGES_WRITTEN.items() for spelling in (written.lower(), str(status))
}

RESENDS_MAX: Final = 20
"""Entries of SS_SIP_RESEND_INTERVAL (SIP-05)."""
UNLIMITED: Final = "unlimited"
FROM_RATES: Final = "from_rates"


class ExpectedError(ValueError):
    """A value is wrong, and the message says more exactly what was expected than the field's own words."""


class NotBuiltYetError(ExpectedError):
    """The value belongs to a capability that comes later; the message names it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"something else: {what} is not built yet")


class KeyProblemError(ExpectedError):
    """Keys of one mapping contradict each other; ``key`` is the one to point at."""

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(expected)
        self.key = key


@dataclass(frozen=True, slots=True)
class FromText:
    """Reads one value; ``read`` raises ValueError, and its text is only shown if it is an ``ExpectedError``.

    Other errors quote what was read, and that may be a secret.
    """

    expected: str
    read: Callable[[Any], object]
    write: Callable[[Any], str] = str
    """The way back, for defaults in the reference."""
    kind: type[str | dict[str, object]] = str
    """What is read: text, or keys with values behind them."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let this be all of the field's validation."""
        return core_schema.no_info_plain_validator_function(self._validate)

    def _validate(self, value: object) -> object:
        if not isinstance(value, self.kind):
            raise ValueError(f"{self.expected}, not a list and no keys" if self.kind is str else self.expected)
        try:
            return self.read(value)
        except ExpectedError:
            raise
        except (ValueError, KeyError):
            raise ValueError(self.expected) from None


def one_or_many(value: object) -> object:
    """Let a list with a single item be written without brackets."""
    return [value] if isinstance(value, str) else value


def whole(lowest: int, highest: int, unit: str = "") -> FromText:
    """Read a whole number within bounds."""

    def read(text: str) -> int:
        if not _WHOLE.match(text) or not lowest <= int(text) <= highest:
            raise ValueError
        return int(text)

    return FromText(f"a whole number{unit and ' of ' + unit} from {lowest} to {highest}", read)


def divisor() -> FromText:
    """Read SS_SIP_SESSION_UPDATE_SEGMENT, which many take for an interval (CON-02)."""

    def read(text: str) -> int:
        if not _WHOLE.match(text) or not 2 <= int(text) <= 10:
            hint = "; it divides the session interval and is no time itself" if _WHOLE.match(text) else ""
            raise ExpectedError(f"{expected}{hint}")
        return int(text)

    expected = "a whole number from 2 to 10"
    return FromText(expected, read)


def limit() -> FromText:
    """Read a limit of calls; none is written by leaving the key out."""

    def read(text: str) -> int:
        if not _WHOLE.match(text) or not 1 <= int(text) <= 1_000_000:
            raise ValueError
        return int(text)

    return FromText("a whole number from 1 to 1000000; leave the key out for no limit", read)


def _milliseconds(text: str, lowest_ms: int, highest_ms: int) -> int:
    match = _DECIMAL.match(text)
    if not match or len(match[2] or "") > 3 or not lowest_ms <= Decimal(text) * 1000 <= highest_ms:
        raise ValueError
    return int(Decimal(text) * 1000)


def milliseconds(lowest_ms: int, highest_ms: int) -> FromText:
    """Read seconds with up to three decimals as whole milliseconds."""

    def read(text: str) -> int:
        return _milliseconds(text, lowest_ms, highest_ms)

    bounds = f"from {_plain(Decimal(lowest_ms) / 1000)} to {_plain(Decimal(highest_ms) / 1000)}"
    return FromText(f"seconds {bounds}, with at most 3 decimals", read, lambda ms: _plain(Decimal(ms) / 1000))


def switch() -> FromText:
    """Read yes or no."""

    def read(text: str) -> bool:
        value = _SWITCH.get(text.lower())
        if value is None:
            raise ValueError
        return value

    return FromText("yes or no", read, lambda value: "yes" if value else "no")


def choice(kind: type[Enum], later: frozenset[str] = frozenset()) -> FromText:
    """Read the value of an enum, without regard to case; values in ``later`` are not built yet."""
    members = {str(member.value): member for member in kind}

    def read(text: str) -> Enum:
        word = text.lower()
        if word in later:
            raise NotBuiltYetError(repr(word))
        if word not in members:
            near = suggestion(word, members)
            raise ExpectedError(f"{expected}; {near}" if near.endswith("?") else expected)
        return members[word]

    expected = f"one of {', '.join(members)}" if len(members) > 1 else next(iter(members))
    return FromText(expected, read, lambda member: str(member.value))


def zero_or_one() -> FromText:
    """Read VOS3000's form of a switch."""

    def read(text: str) -> bool:
        if text not in {"0", "1"}:
            raise ValueError
        return text == "1"

    return FromText("0 or 1", read, lambda value: str(int(value)))


def traffic_class() -> FromText:
    """Read a TOS byte (QOS-03)."""

    def read(text: str) -> TrafficClass:
        if not _BYTE.match(text):
            raise ValueError
        return TrafficClass(int(text, 16 if text[:2].lower() == "0x" else 10))

    return FromText("a byte from 0x00 to 0xfc, hexadecimal or decimal, whose two lowest bits are zero", read)


def object_name() -> FromText:
    """Read the name of an object: short, printable, without blanks at its ends."""

    def read(text: str) -> str:
        if not 1 <= len(text) <= _NAME_CHARACTERS_MAX or not text.isprintable() or text != text.strip():
            raise ValueError
        return text

    return FromText(f"a name of 1 to {_NAME_CHARACTERS_MAX} printable characters", read)


def schedule() -> FromText:
    """Read up to twenty waits in seconds, separated by commas, as whole milliseconds (SIP-05)."""

    def read(text: str) -> tuple[int, ...]:
        waits = text.split(",")
        if len(waits) > RESENDS_MAX:
            raise ValueError
        return tuple(_milliseconds(each.strip(), 10, 600_000) for each in waits)

    def show(waits: tuple[int, ...]) -> str:
        return ",".join(_plain(Decimal(each) / 1000) for each in waits)

    return FromText(f"1 to {RESENDS_MAX} positive numbers of seconds, separated by commas", read, show)


def line_of_text(shortest: int, longest: int) -> FromText:
    """Read free text of one line."""

    def read(text: str) -> str:
        # spreadsheets put no-break spaces into names of destinations
        if not shortest <= len(text) <= longest or not text.replace("\u00a0", " ").isprintable():
            raise ValueError
        return text

    return FromText(f"{shortest} to {longest} printable characters", read)


def payload(longest: int) -> FromText:
    """Read what a datagram holds, as UTF-8; empty text is empty, and line ends are allowed."""

    def read(text: str) -> bytes:
        data = text.encode()
        if len(data) > longest:
            raise ValueError
        return data

    return FromText(f"text of at most {longest} bytes", read, bytes.decode)


def price() -> FromText:
    """Read a price: not negative, kept exactly as entered (DESIGN D4)."""

    def read(text: str) -> Decimal:
        amount = parse_amount(text)
        if amount < 0:
            raise ValueError
        return amount

    return FromText(f"an amount of 0 or more with at most {PLACES} decimals, such as 0.012", read)


def step() -> FromText:
    """Read the smallest step of a fee (FEE-12)."""

    def read(text: str) -> Decimal:
        amount = parse_amount(text)
        if amount <= 0:
            raise ValueError
        return amount

    return FromText(f"an amount above 0 with at most {PLACES} decimals, such as 0.01", read, _plain)


def overdraft() -> FromText:
    """Read how far calls may go below zero; None = unlimited."""

    def read(text: str) -> Decimal | None:
        if text.lower() == UNLIMITED:
            return None
        amount = parse_amount(text)
        if amount < 0:
            raise ValueError
        return amount

    return FromText(f"an amount of 0 or more, or {UNLIMITED}", read)


def percent() -> FromText:
    """Read a tax rate (RATE-60)."""

    def read(text: str) -> Decimal:
        match = _DECIMAL.match(text)
        if not match or len(match[2] or "") > 4 or Decimal(text) > 100:
            raise ValueError
        return Decimal(text)

    return FromText("percent from 0 to 100, with at most 4 decimals", read)


def moment() -> FromText:
    """Read a time with its zone as milliseconds since the Unix epoch."""

    def read(text: str) -> int:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return round(moment.timestamp() * 1000)

    expected = "a time with its zone, such as 2026-12-31T23:59:59Z"
    return FromText(expected, read)


def currency_code() -> FromText:
    """Read an ISO 4217 code."""

    def read(text: str) -> str:
        if not _CURRENCY.match(text):
            raise ValueError
        return text

    return FromText("an ISO 4217 code, such as USD", read)


def rate_prefix() -> FromText:
    """Read the prefix of a rate (RATE-11, RATE-13)."""
    return FromText("digits without + or blanks, or * for any number", _prefix)


def route_prefix() -> FromText:
    """Read a called prefix of a routing gateway, or the word that takes them from its buy rates."""

    def read(text: str) -> str:
        return text if text == FROM_RATES else _prefix(text)

    return FromText(f"digits without + or blanks, * for any number, or {FROM_RATES}", read)


def dialled_prefix() -> FromText:
    """Read what a customer dials before the number to choose a gateway (GW-M-10)."""

    def read(text: str) -> str:
        if not _TECH_PREFIX.match(text):
            raise ValueError
        return text

    return FromText("1 to 32 characters of 0-9, * and #", read)


def digest_algorithm() -> FromText:
    """Read the name of what a digest is made with."""

    def read(text: str) -> Algorithm:
        algorithm = Algorithm.named(text)
        if algorithm is None:
            raise ValueError
        return algorithm

    return FromText(" or ".join(each.value for each in Algorithm), read, lambda each: str(each.value))


def challenge_status() -> FromText:
    """Read the status of a challenge, as VOS3000 writes it or as a number (REG-04)."""

    def read(text: str) -> int:
        return _CHALLENGES[text.lower()]

    return FromText(f"{' or '.join(_CHALLENGES_WRITTEN.values())}", read, _CHALLENGES_WRITTEN.__getitem__)


def telephone_number() -> FromText:
    """Read a number that somebody has."""

    def read(text: str) -> str:
        if not _TELEPHONE.match(text):
            raise ValueError
        return text

    return FromText("a number of 1 to 32 characters of 0-9, * and #, with a leading + or without", read)


def _prefix(text: str) -> str:
    if text != "*" and not _DIGITS.match(text):
        raise ValueError
    return text


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
