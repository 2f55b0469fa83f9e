"""Codec that a session description selects (CDR column ``codec``)."""

import re
from typing import Final

_STATIC: Final = {
    "0": "PCMU", "3": "GSM", "4": "G723", "5": "DVI4", "6": "DVI4", "7": "LPC", "8": "PCMA", "9": "G722",
    "10": "L16", "11": "L16", "12": "QCELP", "13": "CN", "14": "MPA", "15": "G728", "16": "DVI4", "17": "DVI4",
    "18": "G729",
}  # fmt: skip
"""Payload types with a fixed meaning (RFC 3551 section 6)."""
OTHER_NAMES: Final = {"g729a": "G729", "g729ab": "G729", "g7231": "G723"}
"""Names in lower case that peers write for codecs with another registered name: the packets are the same."""
_REGISTERED: Final = {name.lower(): name for name in _STATIC.values()} | OTHER_NAMES
_MAX_NAME: Final = 32
_AUDIO: Final = re.compile(r"\nm=audio[ \t]++(?!0[ \t])", re.IGNORECASE)
"""Beginning of a stream of audio that is not refused by port 0 (RFC 3264 section 6)."""


def first_audio_codec(body: bytes) -> str | None:
    """Return the name of the first audio payload other than telephone-event, or None where there is none.

    Streams that are refused are left out.
    """
    text = body.decode("utf-8", "replace")
    found = _AUDIO.search(text)
    if found is None:
        return None
    audio = found.start() + 1
    end = text.find("\nm=", audio)
    lines = (text[audio:] if end < 0 else text[audio:end]).splitlines()
    names = _names(lines)
    for payload in lines[0].split()[3:]:
        name = names.get(payload) or _STATIC.get(payload)
        if name and name.lower() != "telephone-event":
            return name[:_MAX_NAME]
    return None


def payload_names(payloads: list[str], lines: list[str]) -> list[str]:
    """Return the encoding name of each payload type of a medium with these lines; without a name, the type itself."""
    names = {**_STATIC, **_names(lines)}
    return [names.get(payload, payload) for payload in payloads if payload]


def static_name(payload: int) -> str | None:
    """Return the encoding name of an audio payload type with a fixed meaning; None for others."""
    return _STATIC.get(str(payload))


def _names(lines: list[str]) -> dict[str, str]:
    """Return the encoding names of one medium by payload type, from its ``a=rtpmap`` lines."""
    names = {}
    for line in lines:
        if line.startswith("a=rtpmap:"):
            payload, _, encoding = line[9:].partition(" ")
            name = encoding.partition("/")[0].strip()
            names[payload] = _REGISTERED.get(name.lower(), name)
    return names
