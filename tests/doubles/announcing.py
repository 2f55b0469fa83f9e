"""A scene whose switch plays announcements."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from doubles.data.builders import catalogue, mapping_gateway
from doubles.data.wavs import wav
from doubles.killed import KilledScene
from doubles.sockets.peer import OFFER
from doubles.virtual.relay import VirtualRelay
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from vosd.base.nat import Nat
from vosd.media.sounds import Sound, encoded_wav
from vosd.trunks.dialect import CallerDialect, Passing
from vosd.trunks.gateways import MappingGateway, RoutingGateway
from vosd.trunks.media import MediaAddress, MediaEngine, MediaParameters, PortRange


def sound(name: str, ms: int = 2_000) -> Sound:
    return Sound(name, {each.codec.name.lower(): each for each in encoded_wav(wav(bytes(16 * ms)))})


ONLY_OPUS = OFFER.replace("RTP/AVP 0 101", "RTP/AVP 96").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:96 opus/48000/2")
SOUNDS = {"busy": sound("busy"), "other": sound("other", 600), "long": sound("long", 40_000)}
PORTS = PortRange(40_000, 40_099)


def scene_with(
    announcements: Mapping[str, str] | None = None,
    *,
    free: int = 1_000,
    own: Mapping[str, str] | None = None,
    early_media: Passing = Passing.PASS,
    nat: Nat = Nat.AUTO,
    directory: Path | None = None,
    balance: str = "100",
    media_addresses: Sequence[Sequence[MediaAddress]] = (),
    **parameters: Any,
) -> tuple[Scene, VirtualRelay]:
    relay = VirtualRelay(free)
    announcements = {"Busy": "busy"} if announcements is None else announcements
    dialect = CallerDialect(announcements=own or {}, early_media=early_media, nat=nat)
    trunks: list[MappingGateway | RoutingGateway] = [
        mapping_gateway("acme", f"{CUSTOMER.host}/32", dialect=dialect),
        vendor_gateway(0),
    ]
    media = MediaParameters(engine=MediaEngine.RELAY, announcements=announcements, ivr_ports=PORTS)
    content = catalogue(trunks, media=media, sounds=SOUNDS, **parameters)
    if directory is not None:
        return KilledScene(directory, content, relay=relay), relay
    return Scene(content, relay=relay, balance=balance, media_addresses=media_addresses), relay
