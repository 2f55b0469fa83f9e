"""Media: from keys and parameters to what the switch decides by, and settings that do not fit together."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from vosd.catalogue.parameters import CallParameters
from vosd.catalogue.problems import ProblemList
from vosd.catalogue.source import Origin
from vosd.config.assembly.conversion import Conversion, full_conversion, require_all_used
from vosd.config.assembly.inventory import Written
from vosd.config.assembly.sounds import check_sound
from vosd.config.keys.advertise import announced
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.media import MediaKeys, RtpEngineKeys, TrunkMediaKeys
from vosd.config.keys.parameters import MEDIA_PARAMETERS, PARAMETERS, ParameterKeys
from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys, RoutingGatewayKeys
from vosd.trunks.media import (
    DEFAULT_MEDIA,
    TERMINATING,
    IceMode,
    KeyWay,
    MediaAddress,
    MediaEngine,
    MediaEngineSettings,
    MediaFallback,
    MediaMode,
    MediaOffload,
    MediaParameters,
    MediaSettings,
    MediaTrust,
    MediaWatch,
    RtpEngine,
)

MEDIA: Final = full_conversion(
    TrunkMediaKeys,
    MediaSettings,
    renamed={
        "media": "mode",
        "media_source": "source",
        "media_timeout": "timeout_ms",
        "media_watch": "watch",
        "media_hold_timeout": "hold_timeout_ms",
        "rtp_port_range": "ports",
        "qos_rtp": "traffic_class",
        "music_on_hold": "music",
    },
    is_shared=True,
)
"""Conversion of the keys about media, which three kinds of trunks have."""
_RTPENGINE: Final = full_conversion(RtpEngineKeys, RtpEngine, by_hand={"address": "host"})
_ENGINE: Final = Conversion(MediaKeys, MediaEngineSettings, by_hand={"addresses": "addresses"})
_INSTALLATION: Final = Conversion(
    MediaKeys, MediaParameters, by_hand={"announcements": "announcements", "mode": "mode", "rtpengine": "rtpengines"}
)
require_all_used(MediaKeys, _ENGINE, _INSTALLATION, elsewhere={"sounds": "their files, which are read"})


_ONLY_RTPENGINE: Final = "media.engine rtpengine with media.rtpengine as well: the switch encrypts nothing itself"
_NOT_OFF: Final = "another media or SS_MEDIAPROXYMODE than off: what is not relayed is not encrypted here"
_NO_RING_BACK: Final = "media.ring_back as well: an rtpengine plays a sound of media.sounds, and has no tone"
_ONLY_RELAY: Final = "media.engine relay: an rtpengine has ports of its own, converts no keys and records nothing here"
_ONLY_ANNOUNCED: Final = "auto: the first that sends to a port of its calls takes over the stream"
_COUNTED_LATE: Final = "3 at least, or media.offload off: what the kernel forwards is counted once a second"
_COUNTED_LATE_MS: Final = 3_000


def media_engine_settings(keys: InstallationKeys) -> MediaEngineSettings:
    """Return the processes and sockets for media."""
    return _ENGINE(keys.media, addresses=tuple(_addresses_by_socket(keys)))


def media_parameters(keys: InstallationKeys, parameters: ParameterKeys) -> MediaParameters:
    """Return the media of the installation."""
    media = keys.media
    return _INSTALLATION(
        media,
        announcements=media.announcements or {},
        mode=parameters.media_mode if media.mode is None else media.mode,
        between_networks=parameters.media_between_networks,
        behind_nat=parameters.media_behind_nat,
        same_nat=parameters.media_same_nat,
        ports=parameters.rtp_ports,
        ivr_ports=parameters.ivr_ports,
        traffic_class=parameters.qos_rtp.byte,
        ring_back_delay_ms=1_000 * parameters.ring_back_delay,
        rtpengines=tuple(_RTPENGINE(each, host=each.address.host, port=each.address.port) for each in media.rtpengine),
        sockets=tuple(dict.fromkeys(each.host for each in keys.sip.listen)),
    )


def _addresses_by_socket(keys: InstallationKeys) -> Iterator[tuple[MediaAddress, ...]]:
    """Yield the addresses of each socket of ``sip.listen``: its own, those for all, or what SIP announces."""
    written = keys.media.addresses or {}
    said = announced(keys.sip.listen, keys.sip.advertise)
    for socket, address in zip(keys.sip.listen, said, strict=True):
        usual = (MediaAddress(socket.host, address or socket.host),)
        yield written.get(socket) or written.get(None) or usual


def trunk_media(
    written: Written[MappingGatewayKeys] | Written[RoutingGatewayKeys] | Written[PhoneKeys],
    parameters: CallParameters,
    problems: ProblemList,
) -> MediaSettings:
    """Return the media of a trunk; warn where it needs a relay and none is made, or lets others take its streams."""
    settings, installation = MEDIA(written.thing), parameters.media
    if settings == DEFAULT_MEDIA:
        return DEFAULT_MEDIA
    ports = settings.ports
    if ports is not None and ports.overlaps(installation.ivr_ports):
        expected = f"ports that do not overlap with those of IVR_RTP_PORT, {installation.ivr_ports}"
        problems.error(
            written.section.place_of("rtp_port_range"), f"{written.label}.rtp_port_range", expected, str(ports)
        )
    for key, expected, value in _risks_of(settings, installation):
        problems.warning(written.section.place_of(key), f"{written.label}.{key}", expected, value)
    for key, value in _terminated(settings):
        if not _terminates(installation):
            problems.error(written.section.place_of(key), f"{written.label}.{key}", _ONLY_RTPENGINE, value)
        elif MediaMode.OFF in {installation.mode, settings.mode}:
            problems.warning(written.section.place_of(key), f"{written.label}.{key}", _NOT_OFF, value)
    if settings.music:
        place = written.section.place_of("music_on_hold")
        check_sound(settings.music, parameters.sounds, place, f"{written.label}.music_on_hold", problems)
    missing = _missing_relay(installation, settings.mode)
    if missing is not None:
        for key, value in _needs_of(settings):
            problems.warning(written.section.place_of(key), f"{written.label}.{key}", missing, value)
    elif installation.engine is MediaEngine.RTPENGINE:
        for key, value in _done_by_the_relay_alone(settings):
            problems.warning(written.section.place_of(key), f"{written.label}.{key}", _ONLY_RELAY, value)
        if settings.local_ring and not installation.ring_back:
            place = written.section.place_of("local_ring")
            problems.warning(place, f"{written.label}.local_ring", _NO_RING_BACK, "yes")
    return settings


def _risks_of(settings: MediaSettings, installation: MediaParameters) -> Iterator[tuple[str, str, str]]:
    """Yield keys by which streams are stolen or calls end that should not, what was expected, and their values."""
    if settings.source is MediaTrust.ANY:
        yield "media_source", _ONLY_ANNOUNCED, settings.source.value
    may_forward = installation.engine is MediaEngine.RELAY and installation.offload is MediaOffload.AUTO
    if may_forward and settings.watch is not MediaWatch.OFF and 0 < settings.timeout_ms < _COUNTED_LATE_MS:
        yield "media_timeout", _COUNTED_LATE, f"{settings.timeout_ms / 1_000:g}"


def _terminates(installation: MediaParameters) -> bool:
    """Return whether there is something that encrypts, and makes ICE."""
    return installation.engine is MediaEngine.RTPENGINE and bool(installation.rtpengines)


def _terminated(settings: MediaSettings) -> Iterator[tuple[str, str]]:
    """Yield the keys for which media have to end at the relay, and their values."""
    if settings.encryption in TERMINATING:
        yield "encryption", settings.encryption.value
    if settings.ice is IceMode.LITE:
        yield "ice", settings.ice.value


def _missing_relay(installation: MediaParameters, mode: MediaMode) -> str | None:
    """Return what was expected of an installation or a trunk that relays nothing; None where calls may be relayed."""
    if installation.engine is MediaEngine.NONE:
        return "media.engine as well: without it media go from party to party"
    if installation.mode is MediaMode.OFF:
        return "another SS_MEDIAPROXYMODE than Off, which relays no media at all"
    if mode is MediaMode.OFF and installation.mode is not MediaMode.MUST_ON:
        return "another media than off, by which calls are relayed only where the other side has must_on"
    return None


def missing_recorder(installation: MediaParameters) -> str | None:
    """Return what was expected of an installation that records nothing; None where calls may be recorded."""
    if installation.engine is MediaEngine.RTPENGINE:
        return _ONLY_RELAY
    return _missing_relay(installation, MediaMode.AUTO)


def may_relay(installation: MediaParameters, mode: MediaMode) -> bool:
    """Return whether calls of a trunk may be relayed, by whichever engine."""
    return _missing_relay(installation, mode) is None


def may_read_keys(installation: MediaParameters, mode: MediaMode) -> bool:
    """Return whether keys of a trunk may be read from its media."""
    return installation.engine is MediaEngine.RELAY and may_relay(installation, mode)


def _needs_of(settings: MediaSettings) -> Iterator[tuple[str, str]]:
    """Yield the keys that need a relay, and their values."""
    if settings.mode in {MediaMode.ON, MediaMode.MUST_ON}:
        yield "media", settings.mode.value
    if settings.local_ring:
        yield "local_ring", "yes"
    if settings.music:
        yield "music_on_hold", settings.music
    yield from _done_by_the_relay_alone(settings)


def _done_by_the_relay_alone(settings: MediaSettings) -> Iterator[tuple[str, str]]:
    """Yield the keys that an rtpengine does nothing about, and their values."""
    if settings.ports is not None:
        yield "rtp_port_range", str(settings.ports)
    if settings.traffic_class is not None:
        yield "qos_rtp", f"{settings.traffic_class:#04x}"
    if settings.dtmf is not KeyWay.AUTO:
        yield "dtmf", settings.dtmf.value
    if settings.record:
        yield "record", str(settings.record)


def check_media(keys: InstallationKeys, parameters: ParameterKeys, origin: Origin, problems: ProblemList) -> None:
    """Report ranges of ports that overlap, addresses that peers cannot send to, and parameters without effect."""
    media = keys.media
    if parameters.rtp_ports.overlaps(parameters.ivr_ports):
        name = f"{PARAMETERS}.IVR_RTP_PORT"
        expected = f"ports that do not overlap with those of SS_RTP_PORT_RANGE, {parameters.rtp_ports}"
        problems.error(origin.place_of(name), name, expected, str(parameters.ivr_ports))
    mode = f"{PARAMETERS}.SS_MEDIAPROXYMODE"
    if media.mode not in {None, parameters.media_mode} and _is_written(mode, origin):
        expected = f"{parameters.media_mode.value}, as SS_MEDIAPROXYMODE says, or only one of both"
        problems.error(origin.place_of("media.mode"), "media.mode", expected, media.mode.value)
    for socket in media.addresses or {}:
        if socket is not None and socket not in keys.sip.listen:
            expected = f"sockets of sip.listen as keys: {', '.join(map(str, keys.sip.listen))}"
            problems.error(origin.place_of("media.addresses"), "media.addresses", expected, str(socket))
    uses_relay = media.engine is MediaEngine.RELAY or media.fallback is MediaFallback.RELAY
    if media.engine is not MediaEngine.NONE and uses_relay:
        _check_addresses(keys, origin, problems)
    for name in MEDIA_PARAMETERS if media.engine is MediaEngine.NONE else ():
        if _is_written(written := f"{PARAMETERS}.{name}", origin):
            expected = "no such parameter, as it has no effect: there is no media.engine"
            problems.warning(origin.place_of(written), written, expected)


def _is_written(key: str, origin: Origin) -> bool:
    return origin.place_of(key) != origin.place


def _check_addresses(keys: InstallationKeys, origin: Origin, problems: ProblemList) -> None:
    for socket, addresses in zip(keys.sip.listen, _addresses_by_socket(keys), strict=True):
        for address in addresses:
            if ip_address(address.announced).is_unspecified:
                expected = "media.addresses, or sip.advertise: peers cannot send media to an address of all zeros"
                problems.error(origin.place_of("media"), "media.addresses", expected, str(socket))
