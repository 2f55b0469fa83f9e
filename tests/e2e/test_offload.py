"""Media that the kernel forwards for the real daemon, between two networks."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from doubles.daemon import Daemon
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Peer
from doubles.sockets.rtp import RtpPeer
from doubles.two_networks import CUSTOMER, OTHER_CUSTOMER, SWITCH, VENDOR, TwoNetworks

from vosd.engine.clock import SystemClock

from .conditions import eventually
from .namespaces import forwarding_networks
from .stage import HERE, Stage
from .test_media import RelayedCall, described

ADDRESS = Endpoint(SWITCH, 15_160)


@pytest.fixture(scope="module")
def networks() -> Iterator[TwoNetworks]:
    with forwarding_networks() as made:
        yield made


@pytest.fixture(scope="module")
def between(networks: TwoNetworks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    text = (HERE / "offload.yaml").read_text()
    with Daemon(tmp_path_factory.mktemp("offload"), text, prepare=networks.switch.enter) as daemon:
        stage = Stage(daemon, ADDRESS)
        yield stage
        stage.expect_books_in_order()


@contextmanager
def calling(stage: Stage, networks: TwoNetworks, host: str = CUSTOMER) -> Iterator[RelayedCall]:
    with networks.customer.inside():
        customer, caller = Peer(Endpoint(host, 15_162)), RtpPeer(host, ssrc=1)
    with networks.vendor.inside():
        vendor, callee = Peer(Endpoint(VENDOR, 15_161)), RtpPeer(VENDOR, ssrc=2)
    with customer, vendor:
        call = RelayedCall(stage, customer, vendor, parties=(caller, callee))
        caller.sock.connect(call.of_caller)  # packets of another port are not received
        callee.sock.connect(call.of_callee)
        try:
            yield call
        finally:
            call.close()


def streams(networks: TwoNetworks) -> list[int]:
    """Return the packets of the streams that an operator sees in the kernel."""
    command = (*networks.switch.launcher, "nft", "-j", "list", "ruleset")
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    maps = [each["map"] for each in json.loads(told)["nftables"] if "map" in each]
    elements = [key for each in maps for key, _ in each.get("elem", ())]
    return [key["elem"]["counter"]["packets"] for key in elements]


def is_handed_over(call: RelayedCall, networks: TwoNetworks) -> bool:
    """Let both parties talk; return whether the kernel forwards what they say."""
    call.caller.send(call.of_caller, 3)
    call.callee.send(call.of_callee, 3)
    call.caller.has(0)
    call.callee.has(0)
    return [count > 0 for count in streams(networks)] == [True, True]


def test_the_kernel_goes_on_while_the_switch_is_killed_and_until_the_call_ends(
    between: Stage, networks: TwoNetworks
) -> None:
    with calling(between, networks) as call:
        eventually(lambda: is_handed_over(call, networks), "the kernel forwards both streams")
        between.daemon.kill()
        before = streams(networks)
        call.talk()
        assert streams(networks) > before
        between.daemon.start()
        eventually(lambda: is_handed_over(call, networks), "the kernel forwards both streams")
        assert call.call.hang_up().status == 200
        call.vendor.reply(call.vendor.expect("BYE", passing=["ACK"]), 200)
        media = call.media()
    assert (media["engine"], media["step"]) == ("relay", 0)
    assert all(0 < leg["offloaded"] < leg["packets_in"] for leg in media["legs"].values())
    eventually(lambda: streams(networks) == [], "nothing is forwarded any more")
    between.expect_nothing_left()


def test_hold_takes_a_call_back_and_its_silence_is_billed_to_the_second_of_its_last_packet(
    between: Stage, networks: TwoNetworks
) -> None:
    with calling(between, networks, OTHER_CUSTOMER) as call:
        eventually(lambda: is_handed_over(call, networks), "the kernel forwards both streams")
        offer = described(call.caller)
        call.change(offer.replace("o=- 1 1", "o=- 1 2") + "a=sendonly\r\n", 2)
        eventually(lambda: streams(networks) == [], "the worker forwards what there is")
        call.change(offer.replace("o=- 1 1", "o=- 1 3"), 3)
        eventually(lambda: is_handed_over(call, networks), "the kernel forwards both streams again")
        call.talk()
        silent_from = datetime.fromtimestamp(SystemClock().now().wall / 1e3, UTC)
        call.customer.reply(call.customer.expect("BYE", 30), 200)
        call.vendor.reply(call.vendor.expect("BYE"), 200)
        record = call.record()
        sent = {"caller": call.caller.sequence - 1_000, "callee": call.callee.sequence - 1_000}
    assert record["end_reason"] == "No Media"
    assert datetime.fromisoformat(record["ended_at"]) - silent_from < timedelta(seconds=4)  # noticed after six
    for side, leg in record["media"]["legs"].items():
        # The first packets may come before the worker knows of the answer.
        assert (leg["packets_in"] + leg["foreign"], leg["lost_percent"]) == (sent[side], 0.0)
        assert 0 < leg["offloaded"] < leg["packets_in"]
    assert streams(networks) == []
    between.expect_nothing_left()


def test_the_table_is_gone_with_the_switch(between: Stage, networks: TwoNetworks) -> None:
    eventually(lambda: "vosd-media" in tables(networks), "there is a table")
    assert between.daemon.interrupt() == 0
    assert tables(networks) == ""
    between.daemon.start()


def tables(networks: TwoNetworks) -> str:
    command = (*networks.switch.launcher, "nft", "list", "tables")
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
