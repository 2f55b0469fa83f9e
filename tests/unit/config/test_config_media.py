"""``media``, VOS3000's parameters about media, and the keys of trunks and phones."""

import pytest
from doubles.data.wavs import wav

from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load
from vosd.trunks.media import (
    DEFAULT_MEDIA,
    Encryption,
    KeyWay,
    MediaAddress,
    MediaEngine,
    MediaEngineSettings,
    MediaFallback,
    MediaMode,
    MediaParameters,
    MediaSettings,
    MediaTrust,
    MediaWatch,
    PortRange,
)

RELAY = "media: {engine: relay}\n"


def trunk(site, keys: str, more: str = RELAY, kind: str = "mapping"):
    text = {
        "mapping": site.minimal.replace("hosts: 192.0.2.1", f"hosts: 192.0.2.1, {keys}"),
        "routing": site.minimal.replace("address: 192.0.2.9", f"address: 192.0.2.9, {keys}"),
        "phone": f"{site.minimal}phones: [{{number: 1001, account: acme, password: a-long-secret-7, {keys}}}]\n",
    }[kind]
    assert keys in text
    return f"{text}{more}"


def media_of_trunk(site, keys: str, kind: str = "mapping") -> MediaSettings:
    catalogue = site.load(trunk(site, keys, kind=kind)).catalogue
    if kind == "routing":
        return catalogue.routing_gateways["carrier"].media
    if kind == "phone":
        called = next(each.gateway for each in catalogue.routes.candidates("1001") if each.gateway.name == "1001")
        assert called.media is catalogue.phones["1001"].gateway.media
        return called.media
    (gateway,) = catalogue.mapping_gateways.values()
    return gateway.media


def test_nothing_is_relayed_until_an_operator_chooses_an_engine(site):
    loaded = site.load(f"{site.minimal}")
    assert loaded.catalogue.parameters.media == MediaParameters(sockets=("127.0.0.1",))
    assert loaded.catalogue.parameters.media.engine is MediaEngine.NONE
    assert (loaded.catalogue.parameters.media.ports, loaded.catalogue.parameters.media.ivr_ports) == (
        PortRange(10_000, 39_999),
        PortRange(40_000, 47_999),
    )
    assert site.warnings(site.minimal) == []


def test_parameters_of_vos3000_are_read(site):
    text = (
        "parameters: {SS_MEDIAPROXYMODE: Must On, SS_MEDIAPROXYBETWEENNET: Off, SS_MEDIAPROXYBEHINDNAT: Off, "
        "SS_MEDIAPROXYSAMENAT: On, SS_RTP_PORT_RANGE: '12000,12999', SS_QOS_RTP: '0xb8', IVR_RTP_PORT: '50000,50999', "
        "SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY: 0}\n"
    )
    assert site.load(f"{site.minimal}{text}{RELAY}").catalogue.parameters.media == MediaParameters(
        engine=MediaEngine.RELAY,
        mode=MediaMode.MUST_ON,
        between_networks=False,
        behind_nat=False,
        same_nat=True,
        ports=PortRange(12_000, 12_999),
        ivr_ports=PortRange(50_000, 50_999),
        traffic_class=0xB8,
        ring_back_delay_ms=0,
        sockets=("127.0.0.1",),
    )


@pytest.mark.parametrize("kind", ["mapping", "routing", "phone"])
def test_every_kind_of_trunk_has_the_same_keys(site, kind):
    keys = (
        "media: Proxy, media_source: sdp, media_timeout: 30, media_watch: Bidirection, media_hold_timeout: 0, "
        "rtp_port_range: 12000-12999, codecs: ['G.729, g711a', opus], local_ring: yes, encryption: yes"
    )
    assert media_of_trunk(site, keys, kind) == MediaSettings(
        mode=MediaMode.ON,
        source=MediaTrust.SDP,
        timeout_ms=30_000,
        watch=MediaWatch.ANY,
        hold_timeout_ms=0,
        ports=PortRange(12_000, 12_999),
        codecs=("G729", "PCMA", "opus"),
        local_ring=True,
        encryption=Encryption.PASS,
    )


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("'G.729,G.711'", ("G729", "PCMA", "PCMU")),
        ("[g711]", ("PCMA", "PCMU")),
        ("[G711u, G729]", ("PCMU", "G729")),
        ("'G711, G729, pcmu'", ("PCMA", "G729", "pcmu")),  # one of them has a place of its own
        ("[PCMU, PCMA, G711]", ("PCMU", "PCMA")),
    ],
)
def test_g711_is_both_of_its_codecs(site, written, names):
    assert media_of_trunk(site, f"codecs: {written}").codecs == names


@pytest.mark.parametrize("kind", ["mapping", "routing", "phone"])
def test_trunks_that_say_nothing_share_their_settings(site, kind):
    assert media_of_trunk(site, "max_concurrent: 5", kind) is DEFAULT_MEDIA


@pytest.mark.parametrize(
    ("keys", "mode"),
    [("media: on", MediaMode.ON), ("media: Off", MediaMode.OFF), ("media: Bypass", MediaMode.OFF),
     ("media: must_on", MediaMode.MUST_ON), ("media: Must On", MediaMode.MUST_ON), ("media: auto", MediaMode.AUTO)],
)  # fmt: skip
def test_modes_of_a_trunk(site, keys, mode):
    assert media_of_trunk(site, keys).mode is mode


@pytest.mark.parametrize(
    ("keys", "error"),
    [
        ("media: maybe", "media: value 'maybe': expected one of auto, off, on, must_on"),
        ("codecs: [PCMA, pcma]", "codecs: expected each codec once"),
        ("codecs: [G711, g.711]", "codecs: expected each codec once"),
        ("codecs: telephone-event", "expected a codec such as G729"),
        ("codecs: [G711, G/29, PCMU]", "value 'G/29': expected a codec such as G729"),
        ("rtp_port_range: 10001-10002", "expected two ports such as 10000,39999"),
        ("rtp_port_range: 100-200", "expected two ports such as 10000,39999"),
        ("rtp_port_range: 20000-10000", "expected two ports such as 10000,39999"),
        ("rtp_port_range: 10000-70000", "expected two ports such as 10000,39999"),
        ("rtp_port_range: 39000-40001", "expected ports that do not overlap with those of IVR_RTP_PORT, 40000,47999"),
        ("qos_rtp: 0xb9", "expected a byte from 0x00 to 0xfc"),
        ("encryption: required", "encryption: value 'required': expected media.engine rtpengine with media.rtpengine"),
        ("encryption: optional", "encryption: value 'optional': expected media.engine rtpengine with media.rtpengine"),
        ("media_timeout: -1", "expected seconds from 0 to 86400"),
        ("ice: lite", "ice: value 'lite': expected media.engine rtpengine with media.rtpengine"),
    ],
)
def test_mistakes_in_the_keys_of_a_trunk(site, keys, error):
    errors = site.errors(trunk(site, keys))
    assert any(error in each for each in errors), errors


def test_ranges_of_ports_that_overlap_are_an_error(site):
    (error,) = site.errors(f"{site.minimal}parameters: {{SS_RTP_PORT_RANGE: '10000,40000'}}\n")
    assert "parameters.IVR_RTP_PORT: value '40000,47999': expected ports that do not overlap" in error


def test_a_range_of_a_trunk_may_lie_in_that_of_the_installation(site):
    assert media_of_trunk(site, "rtp_port_range: '10000,20000'").ports == PortRange(10_000, 20_000)


@pytest.mark.parametrize(("written", "byte"), [("0xb8", 184), ("0", 0), ("0x00", 0), ("40", 40)])
def test_a_trunk_may_have_marks_of_its_own(site, written, byte):
    assert media_of_trunk(site, f"qos_rtp: '{written}'").traffic_class == byte


def test_the_mode_stands_in_one_place(site):
    loaded = site.load(f"{site.minimal}media: {{engine: relay, mode: must_on}}\n")
    assert loaded.catalogue.parameters.media.mode is MediaMode.MUST_ON
    both = "media: {engine: relay, mode: WORD}\nparameters: {SS_MEDIAPROXYMODE: Auto}\n"
    (error,) = site.errors(site.minimal + both.replace("WORD", "off"))
    assert "media.mode: value 'off': expected auto, as SS_MEDIAPROXYMODE says, or only one of both" in error
    assert site.load(site.minimal + both.replace("WORD", "auto")).catalogue.parameters.media.mode is MediaMode.AUTO


def sockets(site, text: str) -> MediaEngineSettings:
    return site.load(f"{site.minimal}{text}").settings.media


def test_addresses_of_media_are_those_of_sip_where_nothing_else_is_said(site):
    listen = "sip: {listen: [udp:10.0.0.1:5060, 'udp:[2001:db8::1]:5060'], advertise: 203.0.113.1}\n"
    own, announced = MediaAddress("2001:db8::1", "2001:db8::1"), MediaAddress("10.0.0.1", "203.0.113.1")
    assert sockets(site, listen + RELAY).addresses == ((announced,), (own,))


@pytest.mark.parametrize(
    ("written", "addresses"),
    [
        ("10.0.0.9", [("10.0.0.9",), ("10.0.0.9",)]),
        ("[10.0.0.9, '2001:db8::9']", [("10.0.0.9", "2001:db8::9")] * 2),
        ("10.0.0.9!203.0.113.9", [("10.0.0.9!203.0.113.9",)] * 2),
        ("{'udp:10.0.0.2:5060': 10.0.0.9}", [("10.0.0.1",), ("10.0.0.9",)]),
        ("{'udp:10.0.0.2:5060': [10.0.0.9, '[2001:db8::9]']}", [("10.0.0.1",), ("10.0.0.9", "2001:db8::9")]),
    ],
)
def test_addresses_of_media_for_all_sockets_or_for_each(site, written, addresses):
    text = f"sip: {{listen: [udp:10.0.0.1:5060, udp:10.0.0.2:5060]}}\nmedia: {{engine: relay, addresses: {written}}}\n"
    assert [tuple(map(str, each)) for each in sockets(site, text).addresses] == addresses


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("10.0.0.9:4000", "media.addresses"),
        ("example.com", "media.addresses"),
        ("10.0.0.9!2001:db8::9", "media.addresses"),
        ("[10.0.0.9, 10.0.0.10]", "media.addresses"),
        ("{'udp:10.0.0.7:5060': 10.0.0.9}", "expected sockets of sip.listen as keys: udp:127.0.0.1:5060"),
        ("{'10.0.0.7': 10.0.0.9}", "media.addresses"),
        ("{'udp:127.0.0.1:5060': {a: b}}", "media.addresses"),
    ],
)
def test_mistakes_in_addresses_of_media(site, written, error):
    errors = site.errors(f"{site.minimal}media: {{engine: relay, addresses: {written}}}\n")
    assert any(error in each for each in errors), errors


def test_an_address_of_all_zeros_cannot_be_announced(site):
    text = f"{site.minimal}sip: {{listen: udp:0.0.0.0:5060}}\n"
    (error,) = site.errors(text + RELAY)
    assert "expected media.addresses, or sip.advertise: peers cannot send media to an address of all zeros" in error
    loaded = site.load(text.replace("5060}", "5060, advertise: 203.0.113.1}") + RELAY)
    assert loaded.settings.media.addresses == ((MediaAddress("0.0.0.0", "203.0.113.1"),),)


def test_the_pool_of_rtpengines(site):
    text = (
        "media: {fallback: relay, rtpengine: [{name: one, address: 192.0.2.5:2223}, {name: two, address: '[::1]:9'}]}\n"
    )
    media = site.load(f"{site.minimal}{text}").catalogue.parameters.media
    assert [(each.name, each.host, each.port, each.weight) for each in media.rtpengines] == [
        ("one", "192.0.2.5", 2_223, 100),
        ("two", "::1", 9, 100),
    ]
    assert media.fallback is MediaFallback.RELAY
    (error,) = site.errors(site.minimal + text.replace("two", "one"))
    assert "media.rtpengine: expected each name once" in error


@pytest.mark.parametrize(
    ("keys", "more", "warning"),
    [
        ("media: on", "", "media: value 'on': expected media.engine as well: without it media go from party to party"),
        ("media: must_on", "media: {engine: relay, mode: off}\n", "expected another SS_MEDIAPROXYMODE than Off"),
        ("local_ring: yes", "", "local_ring: value 'yes': expected media.engine as well"),
        ("rtp_port_range: '10000,20000'", "", "rtp_port_range: value '10000,20000': expected media.engine as well"),
        ("media: off, record: 100", RELAY, "record: value '100': expected another media than off, by which calls are"),
        ("media: off, local_ring: yes", RELAY, "local_ring: value 'yes': expected another media than off"),
        ("media_source: any", RELAY, "media_source: value 'any': expected auto: the first that sends"),
        ("media_timeout: 2.5", RELAY, "media_timeout: value '2.5': expected 3 at least, or media.offload off"),
    ],
)
@pytest.mark.parametrize("kind", ["mapping", "routing", "phone"])
def test_check_warns_of_what_needs_a_relay_and_of_streams_that_others_can_take(site, kind, keys, more, warning):
    (found,) = site.warnings(trunk(site, keys, more, kind))
    assert warning in found


def test_a_trunk_without_relay_is_relayed_where_all_calls_are(site):
    assert site.warnings(trunk(site, "media: off, record: 100", "media: {engine: relay, mode: must_on}\n")) == []


@pytest.mark.parametrize(
    ("keys", "more"),
    [
        ("media_timeout: 3", RELAY),
        ("media_timeout: 0", RELAY),
        ("media_timeout: 2, media_watch: off", RELAY),
        ("media_timeout: 2", "media: {engine: relay, offload: off}\n"),
    ],
)
def test_a_short_silence_is_a_risk_only_where_the_kernel_may_forward_and_a_call_may_end(site, keys, more):
    assert site.warnings(trunk(site, keys, more)) == []


@pytest.mark.parametrize("written", ["rfc2833", "RFC2833", "rfc4733"])
@pytest.mark.parametrize("kind", ["mapping", "routing", "phone"])
def test_telephone_events_are_known_by_both_their_rfcs(site, kind, written):
    assert media_of_trunk(site, f"dtmf: {written}", kind).dtmf is KeyWay.EVENTS


POOL = "media: {engine: rtpengine, rtpengine: [{name: one, address: '192.0.2.5:2223'}]}\n"


@pytest.mark.parametrize("keys", ["dtmf: info", "record: 10", "rtp_port_range: '10000,20000'", "qos_rtp: 0xb8"])
def test_check_warns_of_what_an_rtpengine_does_not_do(site, keys):
    (found,) = site.warnings(trunk(site, keys, POOL))
    assert (
        "expected media.engine relay: an rtpengine has ports of its own, converts no keys and records nothing" in found
    )
    assert site.warnings(trunk(site, "media: on", POOL)) == []


@pytest.mark.parametrize(
    ("more", "warning"),
    [
        ("", "record: expected media.engine as well: without it media go from party to party"),
        ("media: {engine: relay, mode: off}\n", "record: expected another SS_MEDIAPROXYMODE than Off"),
        (POOL, "record: expected media.engine relay: an rtpengine has ports of its own"),
    ],
)
def test_check_warns_of_accounts_whose_calls_are_not_recorded(site, more, warning):
    text = site.minimal.replace("{id: acme,", "{id: acme, record: 100,")
    assert text != site.minimal
    (found,) = site.warnings(text + more)
    assert warning in found
    assert site.warnings(text + RELAY) == []


@pytest.mark.parametrize(
    ("keys", "more", "is_read"),
    [
        ("", RELAY, True),
        ("", "", False),
        ("", POOL, False),
        ("media: off, ", RELAY, False),
        ("media: off, ", "media: {engine: relay, mode: must_on}\n", True),
        ("", "media: {engine: relay, mode: off}\n", False),
    ],
)
@pytest.mark.parametrize("kind", ["mapping", "phone"])
def test_check_warns_of_keys_for_transfers_that_are_not_read_from_media(site, kind, keys, more, is_read):
    warnings = site.warnings(trunk(site, f"{keys}transfer_keys: {{blind: '*1'}}", more, kind))
    expected = "transfer_keys: expected media.engine relay and calls that it relays as well, or telephones that send"
    assert [expected in each for each in warnings] == ([] if is_read else [True])


@pytest.mark.parametrize(
    ("keys", "more", "is_warned"),
    [
        ("", RELAY, True),
        ("", "", False),
        ("", POOL, True),
        ("media: off, ", POOL, False),
        ("media: off, ", RELAY, False),
        ("media: off, ", "media: {engine: relay, mode: must_on}\n", True),
        ("", "media: {engine: relay, mode: off}\n", False),
    ],
)
@pytest.mark.parametrize("kind", ["mapping", "phone"])
def test_check_warns_of_callers_that_cannot_be_warned_of_the_end(site, kind, keys, more, is_warned):
    warnings = site.warnings(trunk(site, f"{keys}end_warning: 30", more, kind))
    name = "mapping_gateways[acme-pbx]" if kind == "mapping" else "phones[1001]"
    expected = (
        f"{name}.end_warning: expected media.engine and calls that it relays as well: callers of {name} are not warned"
    )
    assert [expected in each for each in warnings] == ([] if is_warned else [True])


@pytest.mark.parametrize(("written", "read_ms"), [("", 0), ("end_warning: 0", 0), ("end_warning: 12.5", 12_500)])
def test_the_time_of_a_warning_is_read_for_trunks_and_phones(site, written, read_ms):
    for kind in ("mapping", "phone"):
        text = trunk(site, written or "media: on", RELAY, kind)
        catalogue = load(site.write("vosd.yaml", text), {}).catalogue
        trunks = {**catalogue.mapping_gateways, **{n: each.gateway for n, each in catalogue.phones.items()}}
        found = trunks["acme-pbx" if kind == "mapping" else "1001"]
        assert found.dialect.end_warning_ms == read_ms


def test_one_warning_is_about_all_trunks_with_keys_and_none_of_them_is_read_again(site):
    """A template may have the keys of all phones: each of them was read again by each load."""
    text = site.minimal.replace("{id: acme,", "{id: acme, record: 100,").replace(
        "hosts: 192.0.2.1", "hosts: 192.0.2.1, transfer_keys: {blind: '*1'}"
    )
    phones = [
        f"{{number: {number}, account: acme, password: a-long-secret-7, transfer_keys: {{blind: '*1'}}}}"
        for number in range(1_001, 1_009)
    ]
    remembered = Remembered()
    problems = load(
        site.write("vosd.yaml", f"{text}phones: [{', '.join(phones)}]\n"), {}, remembered=remembered
    ).problems
    of_accounts, of_trunks = [each.expected for each in problems]
    assert of_accounts.endswith("; calls of accounts[acme] are not recorded")
    named = ", ".join(f"phones[{number}]" for number in range(1_001, 1_005))
    assert f"telephone events of mapping_gateways[acme-pbx], {named} and 4 others are not read" in of_trunks
    assert not any(remembered.apart.values())


def test_an_rtpengine_announces_its_own_address(site):
    wildcard = f"{site.minimal}sip: {{listen: udp:0.0.0.0:5060}}\n"
    assert not [each for each in site.warnings(wildcard + POOL) if "media" in each]
    assert site.errors(wildcard + POOL.replace("engine: rtpengine,", "engine: rtpengine, fallback: relay,"))


def test_parameters_about_media_have_no_effect_without_an_engine(site):
    text = "parameters: {SS_MEDIAPROXYMODE: Auto, SS_QOS_RTP: '0xa0', IVR_RTP_PORT: '40000,47999'}\n"
    assert [each.partition("expected ")[2] for each in site.warnings(text)] == [
        "no such parameter, as it has no effect: there is no media.engine"
    ] * 3
    assert site.warnings(text + RELAY) == []


def test_pairs_of_ports():
    assert [PortRange(*ports).pairs for ports in [(10, 11), (11, 12), (10, 12), (11, 14), (11, 15), (10, 10)]] == [
        1, 0, 1, 1, 2, 0,
    ]  # fmt: skip


WITH_POOL = "engine: rtpengine, rtpengine: [{name: one, address: 192.0.2.5:2223}]"


@pytest.mark.parametrize("kind", ["mapping", "routing", "phone"])
def test_encryption_by_an_rtpengine(site, kind):
    keys = "encryption: Required, encryption_by: dtls, ice: lite"
    assert site.warnings(trunk(site, keys, f"media: {{{WITH_POOL}}}\n", kind)) == []


@pytest.mark.parametrize(
    ("keys", "more"), [("encryption: optional, media: off", ""), ("ice: lite", ", mode: off")], ids=["trunk", "all"]
)
def test_encryption_without_a_relay_is_a_warning(site, keys, more):
    warnings = site.warnings(trunk(site, keys, f"media: {{{WITH_POOL}{more}}}\n"))
    assert any("what is not relayed is not encrypted here" in each for each in warnings), warnings


@pytest.mark.parametrize("ring_back", [True, False])
def test_ring_back_of_an_rtpengine_needs_a_sound(site, ring_back):
    (site.directory / "tone.wav").write_bytes(wav())
    sound = ", sounds: {tone: tone.wav}, ring_back: tone" if ring_back else ""
    warnings = site.warnings(trunk(site, "local_ring: yes", f"media: {{{WITH_POOL}{sound}}}\n", "routing"))
    assert any("local_ring: value 'yes': expected media.ring_back" in each for each in warnings) is not ring_back
