"""The worked examples of tests/vectors/routing.json about media."""

from golden.worked import of
from vosd.config.reader.media import installation_mode, media_mode, port_range
from vosd.media.decision import BY_MODE, Decision, MediaSide, decide
from vosd.trunks.media import Encryption, MediaParameters, MediaSettings


def side(given) -> MediaSide:
    settings = MediaSettings(
        mode=media_mode().read(given["media_proxy"]),
        local_ring=given["local_ring"],
        encryption=Encryption.PASS if given["encryption"] else Encryption.OFF,
    )
    return MediaSide(settings, given["dynamic_register"], given["network"], given["nat"], given["private"])


@of("media_decision")
def test_media_are_relayed_by_the_first_step_that_applies(given, expect):
    parameters = MediaParameters(
        mode=installation_mode().read(given["SS_MEDIAPROXYMODE"]),
        between_networks=given["SS_MEDIAPROXYBETWEENNET"],
        behind_nat=given["SS_MEDIAPROXYBEHINDNAT"],
        same_nat=given["SS_MEDIAPROXYSAMENAT"],
    )
    step = BY_MODE if expect["step"] == "global" else expect["step"]
    assert decide(parameters, side(given["caller"]), side(given["callee"])) == Decision(expect["proxy"], step)


@of("rtp_capacity")
def test_a_range_of_ports_is_enough_for_so_many_calls(given, expect):
    ports = port_range().read(given["range"])
    assert {"ports": ports.size, "calls_2_ports_each": ports.pairs, "relayed_calls_4_ports_each": ports.pairs // 2} == (
        expect
    )
