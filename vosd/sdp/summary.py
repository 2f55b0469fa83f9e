"""Summarise a session description in one line: codecs, address, hold."""

import re
from typing import Final, NamedTuple

from vosd.base.host import UNSPECIFIED, is_valid_address
from vosd.sdp.codec import payload_names

_DIRECTIONS: Final = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})


_HOST: Final = re.compile(r"^(?:c=|a=rtcp:\d+ )IN IP[46] ([0-9A-Fa-f.:]+)", re.MULTILINE)


class _Common(NamedTuple):
    """Address and direction of one level of a description; missing values are inherited from the level above."""

    host: str
    direction: str


def hosts(body: bytes) -> frozenset[str]:
    """Return the addresses at which media are received, RTP and RTCP, also those of a description that has flaws.

    Names, which RFC 8866 allows, are not among them.
    """
    return frozenset(host for host in _HOST.findall(body.decode("utf-8", "replace")) if is_valid_address(host))


def summary(body: bytes) -> str:
    """Return one phrase for each medium, such as ``PCMU PCMA 192.0.2.7:4000``; empty if there is none."""
    session, *media = body.decode("utf-8", "replace").replace("\r", "").split("\nm=")
    above = _common(session.split("\n"), _Common("", "sendrecv"))
    return "; ".join(_medium(text.split("\n"), above) for text in media)


def _medium(lines: list[str], above: _Common) -> str:
    kind, port, *rest = (*lines[0].split(" "), "", "")
    named = kind if kind != "audio" else ""
    if port == "0":
        return f"{kind} refused"
    host, direction = _common(lines[1:], above)
    where = f"[{host}]:{port}" if ":" in host else f"{host or '?'}:{port or '?'}"
    on_hold = "hold" if direction in {"sendonly", "inactive"} or host in UNSPECIFIED else ""
    said = direction if direction != "sendrecv" else ""
    return " ".join(filter(None, (named, *payload_names(rest[1:], lines), where, said, on_hold)))


def _common(lines: list[str], above: _Common) -> _Common:
    host, direction = above
    for line in lines:
        if line.startswith("c="):
            host = line[2:].rpartition(" ")[2].partition("/")[0]
        elif line.startswith("a=") and line[2:].strip() in _DIRECTIONS:
            direction = line[2:].strip()
    return _Common(host, direction)
