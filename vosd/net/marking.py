"""Traffic class of our packets: the IPv4 TOS byte, the IPv6 traffic class.

The byte is a DSCP (RFC 2474) shifted by the two bits of ECN, which belong to the kernel.
"""

from dataclasses import dataclass
from typing import Final

_EXPEDITED_FORWARDING: Final = 46
"""RFC 3246; VOS3000 labels 0xa0 so, which is CS5."""


@dataclass(frozen=True, slots=True)
class TrafficClass:
    """A value of the TOS byte.

    Raises:
        ValueError: it is no byte, or its ECN bits are not zero.
    """

    byte: int

    def __post_init__(self) -> None:
        if not 0 <= self.byte <= 0xFF or self.byte & 0b11:
            raise ValueError(self.byte)

    @property
    def dscp(self) -> int:
        """The upper six bits, which routers evaluate."""
        return self.byte >> 2

    @property
    def name(self) -> str:
        """Usual name: BE, CS1 to CS7, AF11 to AF43 (RFC 2597), EF, or the number."""
        selector, rest = divmod(self.dscp, 8)
        if self.dscp == _EXPEDITED_FORWARDING:
            return "EF"
        if rest == 0:
            return f"CS{selector}" if selector else "BE"
        if 1 <= selector <= 4 and rest % 2 == 0:
            return f"AF{selector}{rest // 2}"
        return f"DSCP {self.dscp}"

    def __str__(self) -> str:
        return f"{self.byte:#04x}"


SIGNALLING: Final = TrafficClass(0xA0)
"""VOS3000's default of ``SS_QOS_SIGNAL``: CS5."""
MEDIA: Final = TrafficClass(0xA0)
"""VOS3000's default of ``SS_QOS_RTP``."""
