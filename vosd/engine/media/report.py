"""The column ``media`` of a CDR: the relay, the reason for it, and the quality of both legs."""

from collections.abc import Sequence
from typing import Final

import msgspec

from vosd.cdr.columns import iso_utc
from vosd.media.figures import PeerReport
from vosd.media.leg_media import LegFigures
from vosd.media.opinion import mean_opinion
from vosd.trunks.media import MediaEngine

_encode: Final = msgspec.json.Encoder().encode
_NO_AUDIO: Final = {"TELEPHONE-EVENT", "CN"}
_NAMES: Final = {each: each.value for each in MediaEngine}  # access to enum values is slow


class HeardSound(msgspec.Struct, frozen=True, gc=False):
    """A sound that the switch has played to a side."""

    to: str
    sound: str
    codec: str
    ms: int


class _Peer(msgspec.Struct, frozen=True, gc=False):
    """The report of a peer about the stream that it received."""

    lost_percent: float
    jitter_ms: float


class _Leg(msgspec.Struct, frozen=True, gc=False):
    """Media of a leg; packets are those that came from it, where nothing else is said."""

    address: str | None
    latched: str | None
    encryption: str | None
    codec: str | None
    packets_in: int
    packets_out: int | None
    octets_in: int | None
    offloaded: int
    lost_percent: float | None
    jitter_ms: float | None
    jitter_max_ms: float | None
    mos: float | None
    first_at: str | None
    last_at: str | None
    foreign: int
    round_trip_ms: float | None
    peer: _Peer | None


class _Legs(msgspec.Struct, frozen=True, gc=False):
    """Both legs; one that had no port is null."""

    caller: _Leg | None
    callee: _Leg | None


class _Document(msgspec.Struct, frozen=True, gc=False):
    engine: str
    step: int | None
    legs: _Legs
    recording: str | None
    played: Sequence[HeardSound]


def media_document(
    engine: MediaEngine,
    step: int | None,
    caller: LegFigures | None,
    callee: LegFigures | None,
    recording: str = "",
    played: Sequence[HeardSound] = (),
    encryption: Sequence[str | None] = (None, None),
) -> str:
    """Return the document; a leg that had no port is null.

    ``encryption`` is that of the caller and of the callee.
    """
    if engine is MediaEngine.RTPENGINE:
        codec = _agreed_codec(caller, callee)
        legs = _Legs(
            None if caller is None else _leg_at_rtpengine(caller, callee, codec, encryption[0]),
            None if callee is None else _leg_at_rtpengine(callee, caller, codec, encryption[1]),
        )
    else:
        legs = _Legs(
            None if caller is None else _leg(caller, encryption[0]),
            None if callee is None else _leg(callee, encryption[1]),
        )
    return _encode(_Document(_NAMES[engine], step, legs, recording or None, played)).decode()


def _agreed_codec(caller: LegFigures | None, callee: LegFigures | None) -> str | None:
    """Return the first codec of the callee that the caller has, too; None = there is none."""
    if caller is None or callee is None or caller.source is None or callee.source is None:
        return None
    theirs = frozenset(map(str.upper, caller.source.codecs))
    for codec in callee.source.codecs:
        name = codec.upper()
        if name in theirs and name not in _NO_AUDIO:
            return codec
    return None


def _leg_at_rtpengine(ended: LegFigures, other: LegFigures | None, codec: str | None, encryption: str | None) -> _Leg:
    """Return what an rtpengine says of a leg: it measures neither loss nor jitter.

    The score is that of the audio of the leg as the peer of the other leg reports it.
    """
    score, figures = None, ended.figures
    report = None if other is None else other.figures.peer
    if codec is not None and other is not None and report is not None:
        round_trip_ms = other.figures.round_trip_ms
        score = mean_opinion(codec, figures.packets_in, report.lost_percent, report.jitter_ms, round_trip_ms)
    unmeasured = _leg(ended, encryption)
    return msgspec.structs.replace(  # what the relay had of the call before is kept
        unmeasured,
        codec=unmeasured.codec or codec,
        packets_out=None,
        lost_percent=None,
        jitter_ms=None,
        jitter_max_ms=None,
        mos=unmeasured.mos if score is None else score,
    )


def _leg(ended: LegFigures, encryption: str | None) -> _Leg:
    source, figures = ended.source, ended.figures
    codec, lost_percent = None if figures.payload is None else ended.codec, figures.lost_percent
    score = None
    if codec is not None:
        score = mean_opinion(codec, figures.packets_in, lost_percent, figures.jitter_ms, figures.round_trip_ms)
    is_measured = figures.expected > 0  # without a packet there is nothing to lose
    host, port, peer = figures.latched_host, figures.latched_port, figures.peer
    return _Leg(  # in the order of its fields: by their names it takes longer
        None if source is None or not source.rtp else _place(source.host, source.rtp),
        None if host is None or port is None else _place(host, port),
        encryption,
        codec,
        figures.packets_in,
        figures.packets_out,
        figures.octets_in or None,
        figures.forwarded,
        lost_percent if is_measured else None,
        round(figures.jitter_ms, 1) if is_measured else None,
        round(figures.jitter_max_ms, 1) if is_measured else None,
        score,
        None if figures.first_at is None else iso_utc(figures.first_at),
        None if figures.alive_at is None else iso_utc(figures.alive_at),
        figures.foreign,
        None if figures.round_trip_ms is None else round(figures.round_trip_ms, 1),
        None if peer is None else _reported(peer),
    )


def _reported(peer: PeerReport) -> _Peer:
    return _Peer(round(peer.lost_percent, 1), round(peer.jitter_ms, 1))


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
