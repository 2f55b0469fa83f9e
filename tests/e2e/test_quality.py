"""Routing by quality in the real daemon: a vendor that fails falls behind a better one, and comes back."""

from collections.abc import Mapping
from pathlib import Path

from doubles.daemon import Daemon
from doubles.sockets.peer import ANSWER, OutgoingCall, Peer

from .addresses import QUALITY_SWITCH, VENDORS
from .conditions import eventually
from .stage import Stage, configuration

EXPLAIN = ("route", "explain", "--gateway", "acme-pbx", "--caller", "1202", "--callee", "4410111")
REFUSES = 404
"""A refusal of the number: the next vendor is tried, and the breaker is not concerned."""


def test_a_vendor_that_fails_falls_behind_and_comes_back_when_the_other_is_worse(tmp_path: Path) -> None:
    with Daemon(tmp_path, configuration("quality.yaml", QUALITY_SWITCH)) as daemon:
        stage = Stage(daemon, QUALITY_SWITCH)
        with Peer(VENDORS["carrier-a"]) as first, Peer(VENDORS["carrier-b"]) as second:
            vendors = {"carrier-a": first, "carrier-b": second}
            assert figures(daemon) == {"carrier-a": (None, None), "carrier-b": (None, None)}
            assert [dial(stage, vendors, "carrier-b") for _ in range(3)] == [["carrier-a", "carrier-b"]] * 3
            assert asr(daemon) == {"carrier-b": 100.0, "carrier-a": 0.0}
            assert dial(stage, vendors, "carrier-b") == ["carrier-b"]

            daemon.succeed("reload")
            before = figures(daemon)
            eventually(lambda: len(stage.records()) == 4, "all calls are booked before the stop")
            assert daemon.interrupt() == 0
            daemon.start()
            assert figures(daemon) == before
            assert list(before) == ["carrier-b", "carrier-a"]

            assert [dial(stage, vendors, "carrier-a") for _ in range(4)] == [["carrier-b", "carrier-a"]] * 4
            assert asr(daemon) == {"carrier-a": 57.1, "carrier-b": 50.0}
            assert dial(stage, vendors, "carrier-a") == ["carrier-a"]
        assert all("asr" not in each for each in daemon.ask(*EXPLAIN)["candidates"])
        stage.expect_nothing_left()
        stage.expect_books_in_order()


def figures(daemon: Daemon) -> dict[str, tuple[float | None, float | None]]:
    """Return ASR and ACD of the candidates, in their order."""
    found = daemon.ask(*EXPLAIN, "--live")["candidates"]
    return {each["routing_gateway"]: (each["asr"], each["acd_s"]) for each in found}


def asr(daemon: Daemon) -> dict[str, float | None]:
    """Return the ASR of the candidates; what the comparison sees of them, and their order."""
    found = figures(daemon)
    assert all(acd_s is None or acd_s < 5 for _, acd_s in found.values())
    return {name: ratio for name, (ratio, _) in found.items()}


def dial(stage: Stage, vendors: Mapping[str, Peer], answering: str) -> list[str]:
    """Make a call that one vendor answers and the other refuses; return who was tried, in order."""
    with Peer(stage.endpoint_of("acme")) as peer:
        call = OutgoingCall(peer, stage.address, stage.number("4410"))
        call.invite()
        tried: list[str] = []
        while answering not in tried:
            for name, vendor in vendors.items():
                incoming = vendor.receive(0.01)
                # What is repeated by a busy switch was answered before, in this call or in the one before.
                if incoming is None or incoming.method != "INVITE" or name in tried:
                    continue
                if call.callee not in incoming.start_line:
                    continue
                tried.append(name)
                is_answer = name == answering
                vendor.reply(incoming, 200 if is_answer else REFUSES, tag=name, body=ANSWER if is_answer else "")
        call.answered()
        vendors[answering].expect("ACK")
        call.send(call.request("BYE", 2))
        vendors[answering].reply(vendors[answering].expect("BYE"), 200)
        assert peer.final_response("2 BYE", call.call_id).status == 200
    return tried
