"""Hashes of digest authentication (RFC 7616 section 3.4, RFC 8760), for server and client."""

import hashlib
from enum import Enum


class Algorithm(Enum):
    """Hash algorithm; the value is its name in a header."""

    MD5 = "MD5"
    SHA_256 = "SHA-256"

    @classmethod
    def named(cls, name: str) -> "Algorithm | None":
        """Return the algorithm with that name, in any case; None for an unsupported one."""
        wanted = name.upper()
        return next((each for each in cls if each.value == wanted), None)


class Qop(Enum):
    """Parts of a message that the digest covers (RFC 7616 section 3.4.3)."""

    AUTH = "auth"
    AUTH_INT = "auth-int"


def hashed(algorithm: Algorithm, text: str) -> str:
    """Return a hash in lower-case hexadecimal; invalid UTF-8 is hashed as received."""
    return _hash(algorithm, text.encode("utf-8", "surrogateescape"))


def ha1_of(algorithm: Algorithm, username: str, realm: str, password: str) -> str:
    """Return HA1, the hash that replaces a password in one realm (A1 of RFC 7616 section 3.4.2)."""
    return hashed(algorithm, f"{username}:{realm}:{password}")


def response_of(
    algorithm: Algorithm,
    ha1: str,
    method: str,
    uri: str,
    nonce: str,
    *,
    qop: Qop | None = None,
    nonce_count: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """Return the ``response`` of a digest (section 3.4.1); without ``qop`` that of RFC 2069, for old peers."""
    a2 = f"{method}:{uri}"
    if qop is Qop.AUTH_INT:
        a2 = f"{a2}:{_hash(algorithm, body)}"
    ha2 = hashed(algorithm, a2)
    if qop is None:
        return hashed(algorithm, f"{ha1}:{nonce}:{ha2}")
    return hashed(algorithm, f"{ha1}:{nonce}:{nonce_count}:{cnonce}:{qop.value}:{ha2}")


def _hash(algorithm: Algorithm, data: bytes) -> str:
    if algorithm is Algorithm.MD5:
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    return hashlib.sha256(data).hexdigest()
