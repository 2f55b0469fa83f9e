"""baresip with ICE and DTLS, called by a plain one: an rtpengine is between them, in networks of their own."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from string import Template

import pytest
from doubles.daemon import Daemon
from doubles.home import Namespace, NoNamespacesError, expect_tools, join
from doubles.sockets.loopback import Endpoint
from e2e.namespaces import do_without
from e2e.stage import CALLER, SQLITE, Stage

from .baresip import Baresip
from .rtpengine import Rtpengine
from .telephones import expect_sound

CARRIER = ("203.0.113.1", "203.0.113.11")
SWITCH = Endpoint(CARRIER[0], 5060)
ENGINE = Endpoint(CARRIER[0], 2_223)
AT_WORK = Endpoint(CARRIER[1], 5060)
AT_HOME = Endpoint("203.0.113.2", 5060)
"""In the other network: ICE takes no addresses of loopback."""


@pytest.fixture(scope="module")
def networks() -> Iterator[tuple[Namespace, Namespace]]:
    """The carrier's network, and that of telephones with ICE."""
    carrier, home = (Namespace(f"vosd-{os.getpid()}-ice-{each}") for each in ("carrier", "home"))
    with ExitStack() as made:
        try:
            expect_tools()
            for each in (carrier, home):
                made.callback(each.remove)
                each.make()
            join(carrier, "inside", CARRIER, home, (AT_HOME.host,))
        except NoNamespacesError as error:
            do_without(str(error))
        yield carrier, home


@pytest.fixture(scope="module")
def switch(networks: tuple[Namespace, Namespace], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    carrier, _ = networks
    with Rtpengine(tmp_path_factory.mktemp("engine"), "one", ENGINE, (30_000, 30_199), network=carrier):
        values = {"switch": str(SWITCH), "engine": str(ENGINE), "database": SQLITE}
        values |= {"caller": AT_WORK.host, "callee": str(AT_HOME)}
        text = Template((Path(__file__).parent / "ice_telephones.yaml").read_text()).safe_substitute(values)
        with Daemon(tmp_path_factory.mktemp("ice"), text, prepare=carrier.enter) as daemon:
            yield Stage(daemon, SWITCH)
            assert daemon.interrupt() == 0


@pytest.mark.parametrize("more", ["", ";rtcp_mux=yes"], ids=["two ports", "one port"])
def test_a_telephone_with_ice_has_sound_both_ways_with_rtcp_on_one_port_or_on_two(
    networks: tuple[Namespace, Namespace], switch: Stage, baresip: Callable[..., Baresip], more: str
) -> None:
    carrier, home = networks
    number = switch.number("441")
    caller = baresip(CALLER, AT_WORK, network=carrier)
    callee = baresip(number, AT_HOME, network=home, encryption=f"dtls_srtp;medianat=ice{more}")
    caller.dial(number, SWITCH)
    callee.expect("CALL_INCOMING")
    callee.accept()
    caller.expect("CALL_ESTABLISHED")
    callee.expect("CALL_ESTABLISHED")
    expect_sound(caller)
    expect_sound(callee)
    caller.hang_up()
    callee.expect("CALL_CLOSED")
    switch.expect_nothing_left()
    switch.expect_clean_log()
    assert switch.record_of(number)["media"]["legs"]["callee"]["encryption"] == "dtls"


def test_an_answer_by_dtls_to_an_offer_of_sdes_is_refused(
    networks: tuple[Namespace, Namespace], switch: Stage, baresip: Callable[..., Baresip]
) -> None:
    """baresip answers with a fingerprint, where it was offered keys: neither side would have any sound."""
    carrier, home = networks
    number = switch.number("442")
    caller = baresip(CALLER, AT_WORK, network=carrier)
    callee = baresip(number, AT_HOME, network=home, encryption="dtls_srtp")
    caller.dial(number, SWITCH)
    callee.expect("CALL_INCOMING")
    callee.accept()
    assert caller.expect("CALL_CLOSED")["param"].startswith("488 ")
    callee.expect("CALL_CLOSED")
    switch.expect_nothing_left()
    record = switch.record_of(number)
    assert (record["end_reason"], record["billed_seconds"]) == ("No Common Codec", 0)
    assert [each["media_fault"] for each in record["attempts"]] == ["not encrypted"]
    assert "encryption_by: dtls" in switch.daemon.succeed("why", "--call-id", record["call_id"])
