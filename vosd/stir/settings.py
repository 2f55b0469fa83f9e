"""The installation's settings of signed calls."""

from typing import TYPE_CHECKING

import msgspec

from vosd.stir.terms import Numbering, VerifyTerms

if TYPE_CHECKING:  # its import takes as long as a verb of the command line, and few need it
    from vosd.stir.signing import Signer


class StirTerms(msgspec.Struct, frozen=True):
    """Settings for the signatures of all calls."""

    signer: "Signer | None" = None
    """Our key; None = no call is signed."""
    verify: VerifyTerms | None = None
    """None = no signature is verified."""
    numbering: Numbering = Numbering()
