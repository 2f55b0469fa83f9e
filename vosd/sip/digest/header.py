"""Parameters of WWW-Authenticate, Authorization and their proxy variants (RFC 3261 section 25.1, RFC 7616)."""

import re
from typing import Final

VALUE_MAX: Final = 2_048
"""Most characters of such a header; usual ones have a tenth of that."""

_SCHEME: Final = re.compile(r"\s*digest\s+", re.IGNORECASE)
_PARAMETER: Final = re.compile(
    r'\s*([A-Za-z0-9\-_]{1,32})\s*=\s*("(?:[^"\\]++|\\.)*+"|[^\s,"]++)\s*(?:,|\Z)', re.DOTALL
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def digest_parameters(value: str) -> dict[str, str] | None:
    """Return the parameters of a Digest by lower-case name, without quotes; None for anything else.

    A duplicate parameter makes the header unusable: two parsers could understand it differently.
    """
    scheme = _SCHEME.match(value)
    if scheme is None or len(value) > VALUE_MAX:
        return None
    found: dict[str, str] = {}
    position = scheme.end()
    while position < len(value):
        match = _PARAMETER.match(value, position)
        if match is None or match[1].lower() in found:
            return None
        found[match[1].lower()] = _unquoted(match[2])
        position = match.end()
    return found or None


def quoted(text: str) -> str:
    """Return text in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    inner = text[1:-1]
    return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner
