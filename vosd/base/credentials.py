"""Credentials in both directions: of peers that authenticate with us, and ours at vendors.

Peers are checked against hashes, so that no password is stored. At a vendor the realm is known only from its challenge,
so the password itself is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vosd.base.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of a user: HA1 of RFC 7616 for our realm, by the name of the algorithm."""

    username: str
    ha1: Mapping[str, str] = field(repr=False)
    """Lower-case hexadecimal by ``MD5`` and ``SHA-256``, as far as known."""
    realm: str = ""
    """Realm of the hashes: the user's domain if it has one, else the realm of the switch; empty = not given."""
    domain: str = ""
    """Domain of the user, in lower case; empty = the switch's own realm, under any domain."""
    is_weak: bool = False
    """Whether the password is easy to guess, as far as it was known."""
    is_remote: bool = False
    """Whether servers of RADIUS judge the password; the hashes are for the time in which none answers."""


@dataclass(frozen=True, slots=True)
class Login:
    """Our user name and password at a vendor."""

    username: str
    password: Secret
