"""Contacts of a REGISTER: address, duration and preference (section 20.10)."""

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.errors import Flaw, ParseError
from vosd.sip.wire.uri import Uri

SURELY: Final = 1_000
"""The highest preference, ``q=1``, in thousandths; also the default."""
LONGEST: Final = 512
"""Most characters of a contact's URI, and of its instance: both are stored."""
MALFORMED_S: Final = 3_600
"""Value of a malformed expiry (section 20.10)."""
EXPIRES_MAX: Final = (1 << 32) - 1

_Q: Final = re.compile(r"(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z", re.ASCII)
_REG_ID_MAX: Final = (1 << 31) - 1


class Contact(NamedTuple):
    """One contact address."""

    uri: str
    """As written."""
    q: int
    """Preference in thousandths."""
    expires_s: int | None
    """None if the contact does not give it."""
    instance: str
    """The device (``+sip.instance`` of RFC 5626 section 4.1), with its quotes; empty if not given."""
    reg_id: int
    """Number of the flow to that device (``reg-id``); 0 if not given."""

    @classmethod
    def parse(cls, text: str) -> "Contact":
        """Parse one element of a Contact header.

        Raises:
            ParseError: 400 for other URIs than ``sip:`` and ``sips:``, or if it is too long.
        """
        address = NameAddr.parse(text)
        uri = address.uri
        if len(uri) > LONGEST or not uri.isprintable():
            raise ParseError(400, Flaw.UNUSABLE_CONTACT)
        if Uri.parse(uri).scheme not in ("sip", "sips"):
            raise ParseError(400, Flaw.CONTACT_IS_NO_SIP_ADDRESS)
        if not address.params:
            return cls(uri, SURELY, None, "", 0)
        expires = address.param("expires")
        instance = address.param("+sip.instance") or ""
        if len(instance) > LONGEST or not instance.isprintable():
            raise ParseError(400, Flaw.UNUSABLE_INSTANCE)
        return cls(
            uri,
            preference(address.param("q")),
            None if expires is None else seconds(expires),
            instance,
            _reg_id(address.param("reg-id")) if instance else 0,
        )


def preference(q: str | None) -> int:
    """Return a preference in thousandths; one that is missing or malformed is the default."""
    if q is None or not _Q.match(q):
        return SURELY
    whole, _, fraction = q.partition(".")
    return 1_000 * int(whole) + int((fraction + "000")[:3])


def by_preference(values: Iterable[str]) -> list[NameAddr]:
    """Return the contacts of a 3xx, the highest q first (RFC 3261 section 20.10); malformed ones are left out."""
    contacts = []
    for value in values:
        with suppress(ParseError):
            contacts.append(NameAddr.parse(value))
    return sorted(contacts, key=lambda contact: preference(contact.param("q")), reverse=True)


def seconds(text: str) -> int:
    """Return an expiry in seconds."""
    if not (text.isascii() and text.isdigit()):
        return MALFORMED_S
    return EXPIRES_MAX if len(text) > 10 else min(int(text), EXPIRES_MAX)


def _reg_id(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= 10):
        return 0
    return min(int(text), _REG_ID_MAX)
