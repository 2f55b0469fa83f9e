"""Call ids: made from given time and randomness, and shortened for display.

An id begins with the time of its call in milliseconds, so its first digits are enough to find it.
"""

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final

SHORT_DIGITS: Final = 12
"""Fewest digits shown: the time to the millisecond."""
BEGINNING_DIGITS_MIN: Final = 8
"""Fewest digits that identify a call: they cover a minute."""

_GROUPS: Final = (8, 12, 16, 20)
"""Number of digits before each hyphen of a UUID."""
_VARIANT: Final = {f"{drawn:x}": f"{8 | drawn & 3:x}" for drawn in range(16)}
"""The digit with the variant of RFC 9562 section 4.1 in its upper two bits, by a random one."""
_BEGINNING: Final = re.compile(r"[0-9a-f]{1,32}\Z", re.ASCII)


def uuid7(wall_ms: int, entropy: bytes) -> str:
    """Return a version 7 UUID (RFC 9562 section 5.7) as text, from a wall time and ten random bytes."""
    stamp, drawn = f"{wall_ms & 0xFFFFFFFFFFFF:012x}", entropy[:10].hex()
    return f"{stamp[:8]}-{stamp[8:]}-7{drawn[:3]}-{_VARIANT[drawn[4]]}{drawn[5:8]}-{drawn[8:]}"


def beginning_of(text: str) -> str | None:
    """Return the beginning of a call id as typed by a person, in canonical form; None if it cannot be one.

    Upper case and hyphens do not matter; at least ``BEGINNING_DIGITS_MIN`` digits are needed.
    """
    digits = text.replace("-", "").lower()
    if len(digits) < BEGINNING_DIGITS_MIN or _BEGINNING.match(digits) is None:
        return None
    return _spelt(digits)


def bounds(beginning: str) -> tuple[str, str]:
    """Return the smallest and the largest id with that beginning."""
    digits = beginning.replace("-", "")
    return _spelt(digits.ljust(32, "0")), _spelt(digits.ljust(32, "f"))


def shortened(call_id: str, others: Collection[str]) -> str:
    """Return the shortest unique beginning of an id among ``others``, of at least ``SHORT_DIGITS`` digits."""
    digits = call_id.replace("-", "")
    length = SHORT_DIGITS
    for other in others:
        rival = other.replace("-", "")
        while rival != digits and rival.startswith(digits[:length]):
            length += 1
    return _spelt(digits[:length])


def all_shortened(call_ids: Sequence[str]) -> list[str]:
    """Return the shortest unique beginning of each id: only its neighbours in sorted order matter."""
    ordered = sorted(call_ids)
    short = {
        call_id: shortened(call_id, ordered[max(0, place - 1) : place + 2]) for place, call_id in enumerate(ordered)
    }
    return [short[call_id] for call_id in call_ids]


def _spelt(digits: str) -> str:
    edges = (0, *_GROUPS, len(digits))
    groups = (digits[start:end] for start, end in pairwise(edges))
    return "-".join(group for group in groups if group)
