"""A digest as attributes of an Access-Request: RFC 5090, and draft-sterman-aaa-sip-00, which FreeRADIUS reads."""

from typing import Final, NamedTuple

from vosd.radius.packets import VENDOR_TEXT_MAX, Value
from vosd.radius.settings import DigestForm


class DigestParts(NamedTuple):
    """Parts of a digest, as the peer has sent them."""

    username: str
    realm: str
    nonce: str
    method: str
    uri: str
    response: str
    algorithm: str
    qop: str
    """Empty for peers older than RFC 2617, as the two that follow."""
    cnonce: str
    nonce_count: str


_NAMES: Final = {
    "realm": ("Digest-Realm", 1),
    "nonce": ("Digest-Nonce", 2),
    "method": ("Digest-Method", 3),
    "uri": ("Digest-URI", 4),
    "qop": ("Digest-Qop", 5),
    "algorithm": ("Digest-Algorithm", 6),
    "cnonce": ("Digest-CNonce", 8),
    "nonce_count": ("Digest-Nonce-Count", 9),
    "username": ("Digest-Username", 10),
}
"""Attribute of RFC 5090, and number of the part in the draft, by the name of the field."""


def digest_attributes(parts: DigestParts, form: DigestForm) -> list[tuple[str, Value]]:
    """Return the attributes of a digest, in one form or both; parts that are empty have none."""
    given = [(names, text) for field, names in _NAMES.items() if (text := getattr(parts, field))]
    attributes: list[tuple[str, Value]] = [("User-Name", parts.username)]
    if form is not DigestForm.STERMAN:
        attributes.append(("Digest-Response", parts.response))
        attributes += ((name, text) for (name, _), text in given)
    if form is not DigestForm.RFC_5090:
        attributes.append(("Sterman-Digest-Response", parts.response))
        for (_, number), text in given:
            value = text.encode("utf-8", "replace")[:VENDOR_TEXT_MAX]
            attributes.append(("Sterman-Digest-Attributes", bytes([number, 2 + len(value)]) + value))
    return attributes
