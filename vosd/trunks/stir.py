"""Signed calls of one trunk: whether signatures are verified or made, and what is known of its callers."""

from enum import Enum
from functools import cached_property

import msgspec

from vosd.stir.terms import VerifyAction
from vosd.trunks.dids import Did, DidTable


class CallerOrigin(Enum):
    """Origin of the calls of a customer's trunk."""

    GATEWAY = "gateway"
    """Callers of other networks: the customer only forwards their calls."""
    CUSTOMER = "customer"
    """The customer itself, or users that it knows."""


class TrunkVerification(Enum):
    """Whether the signatures of a trunk's calls are verified; the value is that of the configuration."""

    NO = "no"
    YES = "yes"
    """By the installation's action."""
    PASS = "pass"  # noqa: S105 - what is done, no secret
    MARK = "mark"
    REFUSE = "refuse"

    @property
    def action(self) -> VerifyAction | None:
        """The trunk's own action; None = the installation's."""
        return None if self in {TrunkVerification.NO, TrunkVerification.YES} else VerifyAction(self.value)


class CallerSignatures(msgspec.Struct, frozen=True, dict=True):
    """Signatures of the calls that come from a customer's trunk."""

    verify: TrunkVerification = TrunkVerification.NO
    attest: CallerOrigin = CallerOrigin.GATEWAY
    numbers: tuple[str, ...] = ()
    """Numbers and ranges that are the customer's own, beside those of the inventory."""

    @cached_property
    def own(self) -> DidTable:
        """Finds one of its own numbers."""
        return DidTable(map(Did, self.numbers))


class VerstatHeader(Enum):
    """The header in which a vendor is sent the result of a verification; the value is that of ``IdentityHeader``."""

    FROM = "from"
    ASSERTED = "p-asserted-identity"


class VendorSignatures(msgspec.Struct, frozen=True):
    """Signatures of the calls that go to a vendor's trunk, and which of them go there."""

    sign: bool = False
    verstat: tuple[VerstatHeader, ...] = ()
    """Headers with the result of the verification of the caller's signature."""
    only_verified: bool = False
