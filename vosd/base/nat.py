"""Whether a peer sits behind a device that changes its addresses (RFC 2663)."""

from enum import Enum


class Nat(Enum):
    """What is taken for granted of a peer."""

    AUTO = "auto"
    """Behind one where what it says of itself cannot be."""
    YES = "yes"
    NO = "no"
