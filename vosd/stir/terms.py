"""Words and settings of signed calls."""

from enum import Enum
from typing import Final

import msgspec

from vosd.base.number import SEPARATORS

_DIGITS_MAX: Final = 15
"""Longest number of E.164."""
INTERNATIONAL_MIN: Final = 7
"""Fewest digits of a subscriber's number with country code; shorter ones are extensions and services."""


class Attestation(Enum):
    """The signer's confidence that the caller may use its number (RFC 8588 section 4)."""

    FULL = "A"
    """The customer is known, and the number is one of its own."""
    PARTIAL = "B"
    """The customer is known, but not whether it may use the number."""
    GATEWAY = "C"
    """The call came from another network; its caller is not known."""


class Verstat(Enum):
    """Result of a verification, by the names of 3GPP TS 24.229 section 7.2A.20."""

    PASSED = "TN-Validation-Passed"
    FAILED = "TN-Validation-Failed"
    NONE = "No-TN-Validation"
    """There is no signature, or no certificate could be had."""


class VerifyAction(Enum):
    """Treatment of a call whose signature is wrong, or of any call of a trunk."""

    PASS = "pass"  # noqa: S105 - what is done, no secret
    """The result is in the record; the call goes on."""
    MARK = "mark"
    """Vendors that want it are sent the result, too."""
    REFUSE = "refuse"
    """Calls with a wrong signature are refused with the code of RFC 8224."""


class VerifyTerms(msgspec.Struct, frozen=True):
    """Rules for the signatures of callers."""

    action: VerifyAction = VerifyAction.PASS
    require: bool = False
    """Whether calls without a signature are wrong, too (428)."""
    fail_open: bool = True
    """Whether a call goes on whose certificate could not be had in time."""
    freshness_s: int = 60
    """Longest time since a token was signed; a clock in the future may differ by as much."""
    replay_entries: int = 50_000
    """Tokens that are remembered, so that none serves two calls; 0 = replays are not noticed."""
    timeout_ms: int = 2_000


class Numbering(msgspec.Struct, frozen=True):
    """Numbers as they are signed: digits with country code (RFC 8224 section 8.3)."""

    country: str = ""
    """Country code of national numbers; empty = all numbers are international."""
    national_prefix: str = "0"
    national_digits: int = 0
    """Most digits of national numbers, which have as many where they have no prefix; 0 = all have one."""
    international_prefix: tuple[str, ...] = ("00",)

    def canonical(self, number: str) -> str:
        """Return the digits of a number as they are signed; empty for what is no telephone number."""
        bare = number.translate(SEPARATORS)
        digits = bare.removeprefix("+")
        if not (digits.isascii() and digits.isdigit()):
            return ""
        if digits == bare:
            digits = self._international(digits)
        return digits if len(digits) <= _DIGITS_MAX else ""

    def _international(self, digits: str) -> str:
        """Return a number with its country code; empty where it is dialled in a way that is not known."""
        for prefix in self.international_prefix:
            if digits.startswith(prefix):
                number = digits.removeprefix(prefix)
                return number if len(number) >= INTERNATIONAL_MIN and number[0] != "0" else ""
        if not self.country:
            return digits
        national = digits.removeprefix(self.national_prefix)
        has_prefix = national != digits and (not self.national_digits or len(national) <= self.national_digits)
        if has_prefix or len(digits) == self.national_digits:
            return self.country + (national if has_prefix else digits)
        return "" if digits[0] == "0" else digits  # no country code begins with 0
