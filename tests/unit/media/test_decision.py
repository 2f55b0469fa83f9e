"""The decision whether media are relayed, beyond the worked examples."""

import pytest

from vosd.media.decision import Decision, MediaSide, decide
from vosd.trunks.media import DEFAULT_MEDIA, Encryption, IceMode, MediaMode, MediaParameters, MediaSettings

PUBLIC = MediaSide(DEFAULT_MEDIA, is_registered=False, network="192.0.2.1", nat=None, is_private=False)
LAN = PUBLIC._replace(is_private=True)
HOME = LAN._replace(nat="203.0.113.9", is_registered=True)


def step(caller: MediaSide, callee: MediaSide, **parameters: bool) -> int:
    return decide(MediaParameters(**parameters), caller, callee).step


@pytest.mark.parametrize(
    ("caller", "callee", "decision"),
    [
        (PUBLIC, PUBLIC, (False, 8)),
        (PUBLIC, PUBLIC._replace(network="192.0.2.2"), (True, 6)),
        (HOME, PUBLIC, (True, 6)),
        (LAN, PUBLIC, (True, 6)),
        (LAN, LAN, (False, 8)),
        (HOME, HOME, (False, 8)),
        (HOME, HOME._replace(nat="203.0.113.10"), (True, 7)),
        (PUBLIC._replace(settings=MediaSettings(encryption=Encryption.OFF, ice=IceMode.LITE)), PUBLIC, (True, 5)),
    ],
)
def test_with_the_defaults(caller, callee, decision):
    """A party at a private address and one at a public one are in different networks, whichever of our addresses they
    use."""
    assert decide(MediaParameters(), caller, callee) == decision
    assert decide(MediaParameters(), callee, caller) == decision


def test_behind_nat_alone():
    assert step(HOME, PUBLIC, between_networks=False) == step(PUBLIC, HOME, between_networks=False) == 7
    assert step(HOME, PUBLIC, between_networks=False, behind_nat=False) == 8
    assert step(HOME, HOME, between_networks=False, same_nat=True) == 7
    assert step(HOME, HOME._replace(is_private=False), between_networks=False) == 7, (
        "one describes what no other reaches"
    )
    assert step(LAN, LAN, same_nat=True) == 8, "there is no NAT between parties of one network"


@pytest.mark.parametrize(
    ("one", "other", "is_relayed"),
    [
        (MediaMode.AUTO, MediaMode.AUTO, True),
        (MediaMode.OFF, MediaMode.ON, False),
        (MediaMode.OFF, MediaMode.MUST_ON, True),
    ],
)
def test_on_for_the_installation_respects_trunks(one, other, is_relayed):
    sides = [PUBLIC._replace(settings=MediaSettings(mode=mode)) for mode in (one, other)]
    parameters = MediaParameters(mode=MediaMode.ON)
    assert decide(parameters, *sides) == decide(parameters, *reversed(sides)) == Decision(is_relayed, 0)
