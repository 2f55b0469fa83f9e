"""Causes of Q.850 as one trunk uses them: what it sends counts as others, and it is sent others instead."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

_SENT: Final = re.compile(r"^(Reason: Q\.850;cause=)(\d{1,3})", re.MULTILINE)


class TrunkCauses(msgspec.Struct, frozen=True):
    """The causes of one trunk by which it differs from Q.850."""

    received: Mapping[str, int] = {}
    """By a cause that it sends, in digits, the one that it counts as."""
    sent: Mapping[str, int] = {}
    """By a cause, in digits, the one that it is sent instead."""

    def counted_as(self, cause: int | None) -> int | None:
        """Return the cause that one of this trunk counts as; None = it sent none."""
        return None if cause is None else self.received.get(str(cause), cause)

    def written(self, headers: str) -> str:
        """Return header lines whose Reason has the causes of this trunk."""
        if "Reason: " not in headers:
            return headers
        return _SENT.sub(lambda found: f"{found[1]}{self.sent.get(found[2], found[2])}", headers)
