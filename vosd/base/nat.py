"""Whether a peer is behind a NAT (RFC 2663)."""

from enum import Enum


class Nat(Enum):
    """Setting of a peer."""

    AUTO = "auto"
    """Detect it: behind NAT if the announced address cannot be its own."""
    YES = "yes"
    NO = "no"
