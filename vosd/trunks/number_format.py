"""The form in which one trunk is sent numbers: E.164 with or without plus sign, as dialled in its country, or as tel.

A number of the switch is taken as an international one where it begins with a plus sign or with the international
prefix, where it begins with the national prefix, or where nothing marks it as another one. Names, short codes and
emergency numbers are sent as they are, also where they begin with a prefix, as 000 does.
"""

from enum import Enum
from typing import Final

import msgspec

_DIGITS_MIN: Final = 7
"""Fewest digits, prefix included, of a number that is taken as an international one without a plus sign."""
_DIGITS_MAX: Final = 15
"""Longest number of E.164."""


class NumberNotation(Enum):
    """The form of a number."""

    AS_IS = "as_is"
    E164 = "e164"
    PLUS_E164 = "plus_e164"
    NATIONAL = "national"
    TEL = "tel"


class NumberFormat(msgspec.Struct, frozen=True):
    """The form of the number in each header that a trunk is sent."""

    request_uri: NumberNotation = NumberNotation.AS_IS
    from_: NumberNotation = NumberNotation.AS_IS
    to: NumberNotation = NumberNotation.AS_IS
    pai: NumberNotation = NumberNotation.AS_IS
    diversion: NumberNotation = NumberNotation.AS_IS
    country: str = ""
    """Country code of national numbers, such as ``49``; empty = there are none."""
    national_prefix: str = "0"
    international_prefix: str = "00"
    user_phone: bool = False
    """Whether SIP URIs with a number have ``user=phone`` (RFC 3261 section 19.1.1)."""
    emergency: frozenset[str] = frozenset()
    """Emergency numbers, which have no other form."""

    def international(self, number: str) -> str:
        """Return the digits of an international number without plus sign; empty for another one."""
        bare = number.removeprefix("+")
        if not (bare.isascii() and bare.isdigit()) or bare in self.emergency:
            return ""
        if number[:1] != "+":
            if len(number) < _DIGITS_MIN:
                return ""
            if self.international_prefix and number.startswith(self.international_prefix):
                bare = number[len(self.international_prefix) :]
            elif self.country and self.national_prefix and number.startswith(self.national_prefix):
                bare = self.country + number[len(self.national_prefix) :]
        return bare if len(bare) <= _DIGITS_MAX else ""

    def written(self, number: str, form: NumberNotation) -> str:
        """Return a number in a form; as it is where it has no such form."""
        if form is NumberNotation.AS_IS:
            return number
        digits = self.international(number)
        if not digits:
            return number
        if form is NumberNotation.E164:
            return digits
        if form is not NumberNotation.NATIONAL:
            return f"+{digits}"
        if self.country and digits.startswith(self.country):
            return self.national_prefix + digits[len(self.country) :]
        return self.international_prefix + digits

    def uri(self, number: str, form: NumberNotation, host: str, parameters: str = "") -> str:
        """Return the URI of a number that is escaped already; ``parameters`` belong to the number (RFC 4694)."""
        written = self.written(number, form)
        if form is NumberNotation.TEL and written[:1] == "+":
            return f"tel:{written}{parameters}"
        return self.sip_uri(number, form, host, parameters)

    def sip_uri(self, number: str, form: NumberNotation, host: str, parameters: str = "") -> str:
        """Return the same as a SIP URI in any case: one of ``tel`` has no headers (RFC 3966 section 3)."""
        written = self.written(number, form)
        is_number = written.removeprefix("+").isdigit()
        is_marked = is_number and (self.user_phone or (form is NumberNotation.TEL and written[:1] == "+"))
        return f"sip:{written}{parameters}@{host}{';user=phone' if is_marked else ''}"


class CallerFormat(msgspec.Struct, frozen=True):
    """The form that calling numbers of a customer, or for a vendor, must have."""

    form: NumberNotation = NumberNotation.AS_IS
    national_prefix: str = "0"
    shortest: int = 7
    longest: int = 15
    replacement: str = ""

    def fits(self, number: str) -> bool:
        """Return whether a number has the form."""
        bare = number.removeprefix("+")
        if not (bare.isascii() and bare.isdigit() and self.shortest <= len(bare) <= self.longest):
            return False
        match self.form:
            case NumberNotation.PLUS_E164 | NumberNotation.TEL:
                return number[:1] == "+" and bare[:1] != "0"
            case NumberNotation.E164:
                return number[:1] != "+" and bare[:1] != "0"
            case NumberNotation.NATIONAL:
                return number[:1] != "+" and number.startswith(self.national_prefix)
            case NumberNotation.AS_IS:
                return True
