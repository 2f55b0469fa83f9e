"""Announcements to a caller: before its call is refused, by the reason, and by a routing gateway."""

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.cause import EndReason

NO_SOUND: Final = ""
"""In place of the name of a sound: none is played, though the installation has one."""


class GatewayKind(Enum):
    """The other side of a routing gateway."""

    TRUNK = "trunk"
    """A vendor, or a switch of ours."""
    ANNOUNCEMENT = "announcement"
    """None: callers are played a sound."""


class GatewaySound(NamedTuple):
    """The sound of a routing gateway that is an announcement."""

    name: str
    times: int
    code: int
    """The final code with which the call goes on, as if a vendor had sent it: to another gateway, or to its end."""


PLAYED_HERE: Final = "announcement"
"""In place of the host of such a gateway."""

Announcements = Mapping[str, str]
"""Names of sounds by the texts of end reasons."""

ANNOUNCED: Final = frozenset(
    {
        EndReason.BUSY, EndReason.NO_ANSWER, EndReason.REJECTED, EndReason.NOT_FOUND, EndReason.UNAVAILABLE,
        EndReason.UNREACHABLE, EndReason.NO_MATCHING_RATE, EndReason.RATE_TYPE_NOT_ALLOWED,
        EndReason.INSUFFICIENT_BALANCE, EndReason.ACCOUNT_EXPIRED, EndReason.ACCOUNT_DISABLED,
        EndReason.ACCOUNT_CAPACITY, EndReason.NO_AVAILABLE_ROUTE, EndReason.GATEWAY_CAPACITY,
        EndReason.GATEWAY_RATE_LIMIT, EndReason.NUMBER_NOT_ALLOWED, EndReason.NO_COMMON_CODEC, EndReason.NO_MEDIA_PORT,
    }
)  # fmt: skip
"""Reasons for which a call of a known trunk is refused by a decision about it."""
