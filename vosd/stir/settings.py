"""The installation's settings of signed calls."""

from typing import TYPE_CHECKING

import msgspec

from vosd.stir.terms import Numbering, VerifyTerms

if TYPE_CHECKING:  # its import takes as long as a verb of the command line, and few need it
    from vosd.stir.signing import Signer


class TrustedFile(msgspec.Struct, frozen=True):
    """A file of ``stir.verify`` whose content has an end."""

    file: str
    ends_ms: int
    """UTC: the first end of its roots, or when the next list of revoked certificates was to come."""
    is_list: bool


class StirTerms(msgspec.Struct, frozen=True):
    """Settings for the signatures of all calls."""

    signer: "Signer | None" = None
    """Our key; None = no call is signed."""
    verify: VerifyTerms | None = None
    """None = no signature is verified."""
    numbering: Numbering = Numbering()
    trusted: tuple[TrustedFile, ...] = ()
