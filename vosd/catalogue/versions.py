"""Versions of content: a digest, so that equal content has an equal version."""

import hashlib

import msgspec

from vosd.base.secret import Secret


def version_of(*content: object) -> str:
    """Return the version of structs, mappings and sequences; a change of any value changes it.

    A changed password is a change, too; the digest does not disclose it.
    """
    encoded = msgspec.json.encode(content, enc_hook=_as_text, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()[:16]


def _as_text(value: object) -> str:
    """Write what JSON has no form for."""
    return value.reveal() if isinstance(value, Secret) else str(value)
