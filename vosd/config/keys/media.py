"""``media`` of the installation, and the keys about media that trunks and phones have."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator

from vosd.config.reader.addresses import http_listener, ip, listener
from vosd.config.reader.fields import (
    ExpectedError,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    milliseconds,
    object_name,
    switch,
    whole,
)
from vosd.config.reader.media import (
    codec,
    encrypted_by,
    keys_sent_by,
    media_mode,
    port_range,
    recorded_share,
    silence,
    with_both_laws,
)
from vosd.config.reader.number_rules import COMMA_SEPARATED
from vosd.config.reader.sounds import sound_files, sound_name, sounds_by_reason
from vosd.config.reader.vos3000 import traffic_class_byte
from vosd.engine.settings import HttpListener, SipListener
from vosd.trunks.announcements import NO_SOUND
from vosd.trunks.media import (
    Encryption,
    EncryptionKind,
    IceMode,
    KeyWay,
    MediaAddress,
    MediaEngine,
    MediaFallback,
    MediaMode,
    MediaOffload,
    MediaTrust,
    MediaWatch,
    PortRange,
)

MediaAddresses = Mapping[SipListener | None, tuple[MediaAddress, ...]]
"""Addresses of media by socket; under None those for all sockets."""
_ALL: Final = ""


def media_addresses() -> FromText:
    """Read addresses for all sockets (key None), or for each by ``transport:host:port``."""
    read_listener = listener().read

    def read(written: Mapping[str, object]) -> dict[SipListener | None, tuple[MediaAddress, ...]]:
        found: dict[SipListener | None, tuple[MediaAddress, ...]] = {}
        for name, value in written.items():
            addresses = _addresses(name, [value] if isinstance(value, str) else value)
            if name == _ALL:
                found[None] = addresses
                continue
            try:
                socket = read_listener(name)
            except ValueError:
                expected = "a socket of sip.listen, such as udp:10.0.0.1:5060, before its addresses"
                raise KeyProblemError(name, expected) from None
            assert isinstance(socket, SipListener)
            found[socket] = addresses
        return found

    return FromText("IP addresses, or sockets of sip.listen with addresses each", read, kind=dict)


def one_for_all_sockets(value: object) -> object:
    """Accept addresses for every socket."""
    return {_ALL: value} if isinstance(value, str | list) else value


def _addresses(name: str, written: object) -> tuple[MediaAddress, ...]:
    if not isinstance(written, list) or not written or not all(isinstance(each, str) for each in written):
        raise _address_error(name)
    addresses = tuple(_address(name, text) for text in written)
    if len({":" in each.bind for each in addresses}) < len(addresses):
        raise _address_error(name)
    return addresses


def _address(name: str, text: str) -> MediaAddress:
    bind, _, announced = text.partition("!")
    read = ip().read
    try:
        address = MediaAddress(str(read(bind.strip())), str(read((announced or bind).strip())))
    except ValueError:
        raise _address_error(name) from None
    if (":" in address.bind) is not (":" in address.announced):
        raise _address_error(name)
    return address


def _address_error(name: str) -> ExpectedError:
    expected = (
        "an IP address of this machine, or one of IPv4 and one of IPv6; where peers must send to another one, as "
        "10.0.0.1!203.0.113.1"
    )
    return ExpectedError(expected) if name == _ALL else KeyProblemError(name, expected)


def _each_once(codecs: tuple[str, ...]) -> tuple[str, ...]:
    if len({name.lower() for name in codecs}) < len(codecs):
        raise ExpectedError("each codec once")
    return codecs


class TrunkMediaKeys(Keys):
    """Media of mapping gateways, routing gateways and phones (docs/media.md)."""

    media: Annotated[MediaMode, media_mode()] = MediaMode.AUTO
    """Whether the media of its calls are relayed by `media.engine`: decided by the rules of docs/media.md, no, yes, or
    yes in any case but SS_MEDIAPROXYMODE Off. `Proxy` is on, `Bypass` is off."""
    media_source: Annotated[MediaTrust, choice(MediaTrust)] = MediaTrust.LEARN
    """The sender of RTP that is believed: `auto`, the address of its SDP, or behind NAT the one that its SIP comes
    from, with any port; `sdp`, address and port of its SDP; `any`, the first that sends, so that others can take over
    its stream."""
    media_timeout: Annotated[int, milliseconds(0, 86_400_000)] = 60_000
    """Silence that ends a relayed call with `No Media`; 0 = none does. RTCP counts as life."""
    media_watch: Annotated[MediaWatch, silence()] = MediaWatch.ALL
    """The side whose silence counts: none (`off`), both at once (`all`), one of them (`any`), this trunk (`from_peer`)
    or the other side (`to_peer`)."""
    media_hold_timeout: Annotated[int, milliseconds(0, 604_800_000)] = 3_600_000
    """Silence that ends a relayed call on hold; 0 = none does."""
    rtp_port_range: Annotated[PortRange | None, port_range()] = None
    """Ports of the relay for its legs. Default: SS_RTP_PORT_RANGE."""
    qos_rtp: Annotated[int | None, traffic_class_byte()] = None
    """TOS byte (IPv6: traffic class) of the packets that the relay sends it. Default: SS_QOS_RTP."""
    codecs: Annotated[
        tuple[Annotated[str, codec()], ...], COMMA_SEPARATED, AfterValidator(_each_once), AfterValidator(with_both_laws)
    ] = ()
    """Audio codecs that it is offered and that its offers may have, in the order of preference, such as `G729, PCMA`;
    telephone-event is kept. Default: any. Without one in common the gateway is left out; at last the call ends with
    488."""
    local_ring: Annotated[bool, switch()] = False
    """`yes`: media are relayed when it is called, so that the switch can play ring-back."""
    dtmf: Annotated[KeyWay, keys_sent_by()] = KeyWay.AUTO
    """The way by which keys reach it in relayed calls: as the other side sends them (`auto`), or always as telephone
    events in its media (`rfc4733`, or `rfc2833`), as INFO, or as tones in G.711 (`inband`). Its own tones are read with
    `inband`, where the other side has another way; else they pass as they are."""
    record: Annotated[int, recorded_share()] = 0
    """Percent of its relayed calls that are recorded, as capture files in `state_dir`/recordings; `off` = none. It may
    need the consent of both parties."""
    music_on_hold: Annotated[str | None, sound_name()] = None
    """Sound of `media.sounds` that the other side of its calls is played while it holds them; `none` = what it sends
    itself. Default: `media.music_on_hold`."""
    encryption: Annotated[Encryption, encrypted_by()] = Encryption.OFF
    """`pass`: its media are encrypted by the parties (SRTP), which passes unchanged; media of calls of a registered
    phone or gateway with it are relayed. `optional`, `required`: `media.engine` rtpengine encrypts its media, where it
    offers or accepts that, or always: else its calls are refused with 488."""
    encryption_by: Annotated[EncryptionKind, choice(EncryptionKind)] = EncryptionKind.AUTO
    """Agreement about keys when it is called: in the session description (`sdes`), by a handshake in the media
    (`dtls`), or by DTLS over WebSocket and by SDES else (`auto`). Its own offers are answered in their way."""
    ice: Annotated[IceMode, choice(IceMode)] = IceMode.OFF
    """`lite`: `media.engine` rtpengine answers its connectivity checks (ICE), which browsers demand."""


class RtpEngineKeys(Keys):
    """An rtpengine of the pool."""

    name: Annotated[str, object_name()]
    """Unique in the list."""
    address: Annotated[HttpListener, http_listener(2223)]
    """Address and UDP port of its control protocol (`--listen-ng`)."""
    weight: Annotated[int, whole(0, 1_000)] = 100
    """Share of the calls; 0: used only when no other one works."""


class MediaKeys(Keys):
    """Relay of media (docs/media.md). Default: none; media go from party to party."""

    engine: Annotated[MediaEngine, choice(MediaEngine)] = MediaEngine.NONE
    """Program that relays media: none, `relay`, which are processes of the switch, or `rtpengine`. Open the ports of
    SS_RTP_PORT_RANGE in the firewall before. Needs a restart."""
    mode: Annotated[MediaMode | None, media_mode()] = None
    """SS_MEDIAPROXYMODE by another name. Default: that parameter."""
    workers: Annotated[int, whole(1, 64)] = 1
    """Processes of the relay. Needs a restart."""
    offload: Annotated[MediaOffload, choice(MediaOffload)] = MediaOffload.AUTO
    """Whether the kernel forwards streams in which nothing is converted, recorded, played or read, by nftables, which
    takes CAP_NET_ADMIN: `auto`, where it can, or `off`. Needs a restart."""
    addresses: Annotated[MediaAddresses | None, media_addresses(), BeforeValidator(one_for_all_sockets)] = None
    """Addresses of media, where they are not those of `sip.listen` and `sip.advertise`: one of IPv4, of IPv6 or of both
    for all sockets, or ``{"udp:10.0.0.1:5060": 10.0.0.2}``, for each socket of `sip.listen` that needs others.
    ``10.0.0.1!203.0.113.1`` receives at the first address and announces the second. Needs a restart."""
    rtpengine: tuple[RtpEngineKeys, ...] = ()
    """Pool for the engine `rtpengine`."""
    fallback: Annotated[MediaFallback, choice(MediaFallback)] = MediaFallback.REFUSE
    """While no rtpengine works: `relay` relays by the switch itself, `refuse` refuses calls that need a relay.
    Needs a restart."""
    sounds: Annotated[Mapping[str, Path] | None, sound_files()] = None
    """Sounds by name: WAV files with one channel and 8000 samples a second, linear or G.711, of at most 10 minutes;
    beside each, files of the same name with the ending .g729, .g722, .gsm or .g723 hold it for these codecs, as raw
    frames. Relative to the file that names them."""
    announcements: Annotated[Mapping[str, str] | None, sounds_by_reason()] = None
    """Sounds that are played to callers when their calls fail without an answer, by end reason: `{Busy: busy, "No
    Answer": absent}`, of at most 30 s each."""
    ring_back: Annotated[str, sound_name()] = NO_SOUND
    """Sound that an rtpengine plays to callers of trunks with `local_ring` while they ring, in a loop; `none` = their
    own telephones ring. The relay of the switch plays a tone of its own."""
    music_on_hold: Annotated[str, sound_name()] = NO_SOUND
    """Sound that a party is played while the other one holds the call, in a loop; `none` = what the holder sends."""
    end_warning_sound: Annotated[str, sound_name()] = NO_SOUND
    """Sound of at most 5 s by which callers are warned of the end of a call (`end_warning` of trunks and phones), by
    the relay of the switch in the codecs that it has; `none`, and G.711 that it has not: three beeps."""

    def _judge(self) -> None:
        if len({each.name for each in self.rtpengine}) < len(self.rtpengine):
            raise KeyProblemError("rtpengine", "each name once")
        if self.engine is MediaEngine.RTPENGINE and not self.rtpengine:
            raise KeyProblemError("rtpengine", "at least one, with name and address")
