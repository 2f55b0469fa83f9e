"""Maps of final SIP codes as operators write them, such as ``{486: 480, 5xx: 503}``.

A class stands for each of its codes that is not named itself. ``trunks.dialect`` applies them.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from vosd.config.reader.fields import FromText, KeyProblemError
from vosd.trunks.dialect import BOUND_TO_THEIR_REQUEST

_SENT: Final = re.compile(r"[4-6](\d\d|xx)\Z", re.ASCII)
_RECEIVED: Final = re.compile(r"[3-6](\d\d|xx)\Z", re.ASCII)
_CODE: Final = re.compile(r"[4-6]\d\d\Z", re.ASCII)


def sent_instead() -> FromText:
    """Read the codes that a customer is sent in place of others."""

    def can_be_replaced(written: str) -> bool:
        return bool(_SENT.match(written)) and not _is_bound(written)

    return _replacements("codes and what is sent instead, such as {486: 480, 5xx: 503}", can_be_replaced)


def counted_as() -> FromText:
    """Read the codes that those of a vendor count as."""

    def can_be_received(written: str) -> bool:
        return bool(_RECEIVED.match(written))

    return _replacements("codes and what each counts as, such as {486: 480, 5xx: 503}", can_be_received)


def q850() -> FromText:
    """Read a cause of Q.850."""

    def read(text: str) -> int:
        if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= 127:
            raise ValueError
        return int(text)

    return FromText("a cause of Q.850, from 1 to 127", read)


def causes_instead() -> FromText:
    """Read causes of Q.850, each with another one."""
    cause = q850()

    def read(pairs: Mapping[str, object]) -> dict[str, int]:
        found = {}
        for written, instead in pairs.items():
            try:
                found[str(cause.read(written))] = int(str(cause.read(instead)))
            except (ValueError, AttributeError):
                raise KeyProblemError(written, f"{cause.expected}, and another one") from None
        return found

    return FromText("causes of Q.850 and what each counts as, such as {127: 31}", read, kind=dict)


def _replacements(expected: str, fits: Callable[[str], bool]) -> FromText:
    def read(pairs: Mapping[str, object]) -> dict[str, int]:
        found = {}
        for written, instead in pairs.items():
            if not fits(written.lower()):
                raise KeyProblemError(written, "a final code that can be replaced, such as 486, or a class such as 5xx")
            if not isinstance(instead, str) or not _CODE.match(instead) or _is_bound(instead):
                raise KeyProblemError(written, "a final code from 400 to 699 that can stand by itself")
            found[written.lower()] = int(instead)
        return found

    return FromText(expected, read, kind=dict)


def _is_bound(written: str) -> bool:
    return written.isdigit() and int(written) in BOUND_TO_THEIR_REQUEST
