"""Values about media: modes, ports, codecs."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from vosd.config.reader.fields import WHOLE, FromText, choice
from vosd.sdp.codec import OTHER_NAMES
from vosd.trunks.media import Encryption, KeyWay, MediaMode, MediaWatch, PortRange

FIRST_PORT: Final = 1_024
_CODEC: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,31}\Z")
_RANGE: Final = re.compile(r"(\d{1,5})\s*[,-]\s*(\d{1,5})\Z", re.ASCII)
_CODEC_ALIASES: Final = {
    "g711a": "PCMA", "alaw": "PCMA", "g711u": "PCMU", "g711mu": "PCMU", "ulaw": "PCMU",
    **OTHER_NAMES,
}  # fmt: skip
"""Names that people use, without dots, and the encoding names of session descriptions."""
_BOTH_LAWS: Final = "G711"
_LAWS: Final = ("PCMA", "PCMU")
"""The codecs of G.711."""
_WITH_EVERY_CODEC: Final = frozenset({"telephone-event", "cn"})


def media_mode() -> FromText:
    """Read the mode of a trunk; VOS3000's ``Proxy`` is on, ``Bypass`` is off."""
    return _with_aliases(choice(MediaMode), {"proxy": "on", "bypass": "off", "must on": "must_on"})


def recorded_share() -> FromText:
    """Read how many percent of calls are recorded; off = none."""

    def read(text: str) -> int:
        if text.lower() in {"off", "no"}:
            return 0
        if not WHOLE.match(text) or not 0 <= int(text) <= 100:
            raise ValueError
        return int(text)

    return FromText("off, or a whole number of percent from 0 to 100", read)


def installation_mode() -> FromText:
    """Read SS_MEDIAPROXYMODE."""
    written = {MediaMode.OFF: "Off", MediaMode.ON: "On", MediaMode.AUTO: "Auto", MediaMode.MUST_ON: "Must On"}
    by_text = {text.lower().replace(" ", ""): mode for mode, text in written.items()}

    def read(text: str) -> MediaMode:
        return by_text[re.sub(r"[ _]", "", text.lower())]

    return FromText("Off, On, Auto or Must On", read, written.__getitem__)


def silence() -> FromText:
    """Read which silence ends a call, also by VOS3000's words."""
    return _with_aliases(choice(MediaWatch), {"none": "off", "bidirection": "any"})


def encrypted_by() -> FromText:
    """Read whether the parties or the switch encrypt."""
    return _with_aliases(choice(Encryption), {"no": "off", "yes": "pass", "true": "pass", "false": "off"})


def keys_sent_by() -> FromText:
    """Read the way by which keys are sent; RFC 4733 has replaced RFC 2833."""
    reading = choice(KeyWay)
    return replace(_with_aliases(reading, {"rfc2833": "rfc4733"}), shape=reading.shape)


def _with_aliases(reading: FromText, aliases: Mapping[str, str]) -> FromText:
    def read(text: str) -> object:
        return reading.read(aliases.get(text.lower(), text))

    return FromText(reading.expected, read, reading.write)


def port_range() -> FromText:
    """Read two ports with a comma or a hyphen between them."""

    def read(text: str) -> PortRange:
        found = _RANGE.match(text)
        if not found:
            raise ValueError
        ports = PortRange(int(found[1]), int(found[2]))
        if not FIRST_PORT <= ports.first < ports.last <= 65_535 or not ports.pairs:
            raise ValueError
        return ports

    return FromText(
        f"two ports such as 10000,39999, from {FIRST_PORT} to 65535, with an even one and the next between them", read
    )


def with_both_laws(codecs: tuple[str, ...]) -> tuple[str, ...]:
    """Return codecs with those of G711 that have no place of their own in its place."""
    named = {name.upper() for name in codecs}
    laws = tuple(law for law in _LAWS if law not in named)
    return tuple(name for each in codecs for name in (laws if each.upper() == _BOTH_LAWS else (each,)))


def codec() -> FromText:
    """Read the encoding name of an audio codec."""

    def read(text: str) -> str:
        name = text.lower().replace(".", "")
        if not _CODEC.match(text) or name in _WITH_EVERY_CODEC:
            raise ValueError
        return _CODEC_ALIASES.get(name, text.replace(".", ""))

    return FromText("a codec such as G729, PCMA or PCMU; telephone-event and CN go with each of them", read)
