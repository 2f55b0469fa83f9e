"""The column ``media`` of a CDR: the relay, the reason for it, and the quality of both legs."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from vosd.cdr.columns import iso_utc
from vosd.media.leg_media import LegFigures
from vosd.media.opinion import mean_opinion
from vosd.trunks.media import MediaEngine

_encode: Final = msgspec.json.Encoder().encode
_NAMES: Final = {each: each.value for each in MediaEngine}  # access to enum values is slow


class HeardSound(NamedTuple):
    """A sound that the switch has played to a side."""

    to: str
    sound: str
    codec: str
    ms: int


def media_document(
    engine: MediaEngine,
    step: int | None,
    caller: LegFigures | None,
    callee: LegFigures | None,
    recording: str = "",
    played: Sequence[HeardSound] = (),
    encryption: Sequence[str | None] = (None, None),
) -> str:
    """Return the document; a leg that had no port is null. An rtpengine measures neither loss nor jitter.

    ``encryption`` is that of the caller and of the callee.
    """
    legs = {"caller": _leg(caller, encryption[0]), "callee": _leg(callee, encryption[1])}
    if engine is MediaEngine.RTPENGINE:
        for leg in filter(None, legs.values()):
            leg.update(dict.fromkeys(("lost_percent", "jitter_ms", "jitter_max_ms", "packets_out")))
    document: dict[str, Any] = {"engine": _NAMES[engine], "step": step, "legs": legs, "recording": recording or None}
    document["played"] = [each._asdict() for each in played] if played else []
    return _encode(document).decode()


def _leg(ended: LegFigures | None, encryption: str | None) -> dict[str, Any] | None:
    if ended is None:
        return None
    source, figures = ended.source, ended.figures
    codec, lost_percent = None, figures.lost_percent
    if source is not None and figures.payload is not None:
        codec = dict(zip(source.payloads, source.codecs, strict=False)).get(figures.payload)
    score = None
    if codec is not None:
        score = mean_opinion(codec, figures.packets_in, lost_percent, figures.jitter_ms, figures.round_trip_ms)
    host, port, peer = figures.latched_host, figures.latched_port, figures.peer
    return {
        "address": None if source is None or not source.rtp else _place(source.host, source.rtp),
        "latched": None if host is None or port is None else _place(host, port),
        "encryption": encryption,
        "codec": codec,
        "packets_in": figures.packets_in,
        "packets_out": figures.packets_out,
        "offloaded": figures.forwarded,
        "lost_percent": lost_percent,
        "jitter_ms": round(figures.jitter_ms, 1),
        "jitter_max_ms": round(figures.jitter_max_ms, 1),
        "mos": score,
        "first_at": None if figures.first_at is None else iso_utc(figures.first_at),
        "last_at": None if figures.alive_at is None else iso_utc(figures.alive_at),
        "foreign": figures.foreign,
        "round_trip_ms": None if figures.round_trip_ms is None else round(figures.round_trip_ms, 1),
        "peer": None
        if peer is None
        else {"lost_percent": round(peer.lost_percent, 1), "jitter_ms": round(peer.jitter_ms, 1)},
    }


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
