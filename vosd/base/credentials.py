"""Who a peer proves to be, or we prove to be: user names with what stands for their passwords.

The two directions need different things. Whoever comes to us is checked against hashes, so that no password has to be
kept; where we go the realm is known only from the challenge, so the password itself is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vosd.base.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody must prove to us: HA1 of RFC 7616 for our realm, by the name of the algorithm."""

    username: str
    ha1: Mapping[str, str] = field(repr=False)
    """Lower-case hexadecimal by ``MD5`` and ``SHA-256``, as far as it is known."""
    realm: str = ""
    """What the hashes were made for: its domain where it has one, else the realm of the switch; empty = not said."""
    domain: str = ""
    """The domain that it belongs to, in lower case; empty = the switch's own realm, under any domain."""


@dataclass(frozen=True, slots=True)
class Login:
    """What we prove to a vendor."""

    username: str
    password: Secret
