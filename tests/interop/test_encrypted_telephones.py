"""baresip calls baresip, one encrypted and one not, and transfers the call: an rtpengine is between them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from e2e.addresses import NETWORK
from e2e.stage import SQLITE, Stage

from .addresses import OTHER_VENDOR_PHONE
from .baresip import Baresip
from .rtpengine import Rtpengine
from .telephones import Pair, expect_sound, expect_sound_from_now_on

SWITCH = Endpoint(f"{NETWORK}.2", 15_302)
ENGINE = Endpoint(f"{NETWORK}.86", 2_223)
KINDS = {"441": "", "442": "srtp-mand", "443": "", "444": "srtp-mand"}
"""Encryption of the telephone by the prefix of its number."""


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Rtpengine(tmp_path_factory.mktemp("engine"), "one", ENGINE, (20_000, 20_199)) as engine:
        pool = f"{{name: {engine.config.name}, address: '{engine.control}'}}"
        values = {"network": NETWORK, "switch": str(SWITCH), "database": SQLITE}
        text = Template((Path(__file__).parent / "encrypted_telephones.yaml").read_text()).safe_substitute(values)
        with Daemon(tmp_path_factory.mktemp("sealed"), text.replace("POOL", pool)) as daemon:
            yield Stage(daemon, SWITCH)


@pytest.mark.parametrize(("caller", "party", "target"), [("srtp-mand", "441", "444"), ("", "442", "443")])
def test_an_encrypted_call_is_transferred(
    switch: Stage, baresip: Callable[..., Baresip], caller: str, party: str, target: str
) -> None:
    """Not from one that encrypts to another: baresip 1.0 goes on decrypting by the first key that it was told."""
    pair = Pair(switch, baresip, party, SWITCH, encryption=(caller, KINDS[party]))
    pair.establish()
    expect_sound(pair.caller)
    expect_sound(pair.callee)
    number = switch.number(target)
    other = baresip(number, OTHER_VENDOR_PHONE, encryption=KINDS[target])
    pair.caller.transfer(f"sip:{number}@{SWITCH}")
    other.expect("CALL_INCOMING")
    other.accept()
    pair.caller.expect("CALL_CLOSED")
    other.expect("CALL_ESTABLISHED")
    expect_sound(other)
    expect_sound_from_now_on(pair.callee)
    other.hang_up()
    pair.callee.expect("CALL_CLOSED", param="Connection reset by peer")
    legs = [each["media"]["legs"]["callee"] for each in (pair.record(), switch.record_of(number))]
    assert [leg["encryption"] for leg in legs] == ["sdes" if KINDS[each] else None for each in (party, target)]
