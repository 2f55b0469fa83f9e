"""``vosd trace`` against a control socket of the test's own: what is drawn, printed and captured."""

import asyncio
import json
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from doubles.data.records import answered_call
from doubles.migrated import migrated

from vosd.cli.main import main
from vosd.control.server import ControlServer
from vosd.control.traces import CallSought, CallUpdate, FollowCalls, TraceUpdate
from vosd.obs.pcap import FILE_HEADER, packet
from vosd.obs.traced import Direction, TracedMessage

HEADERS = "Via: SIP/2.0/UDP x\r\nFrom: <sip:1@x>;tag=1\r\nTo: <sip:2@x>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n"


def message(start: str, at: int = 1_790_000_000_000, way: Direction = Direction.IN) -> TracedMessage:
    data = f"{start}\r\n{HEADERS}X-Bytes: ".encode() + b"\xff\r\n\r\n"
    return TracedMessage(at, way, 0, "udp", "192.0.2.1", 5060, "198.51.100.10", 5060, data)


INVITE = message("INVITE sip:44@x SIP/2.0")
BUSY = message("SIP/2.0 486 Busy Here", way=Direction.OUT)


def news(call_id: str, *messages: TracedMessage, is_last: bool = False) -> CallUpdate:
    record = answered_call(1) if is_last else None
    return CallUpdate(call_id, "4930", "4420", "acme-pbx", ("carrier-a",), list(messages), record, is_last)


class Switch:
    """Sends the given updates."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.asked: list[FollowCalls] = []
        self.news: list[TraceUpdate] = []

    async def trace(self, order: FollowCalls) -> AsyncGenerator[TraceUpdate, None]:
        self.asked.append(order)
        for each in self.news:
            yield each

    async def vosd(self, *words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["-c", str(self.config), "trace", *words])


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[Switch]:
    config = tmp_path / "vosd.yaml"
    url = migrated(tmp_path / "vosd.db")
    config.write_text(f"control_socket: {tmp_path / 'vosd.sock'}\ndatabase: {{url: '{url}'}}\n")
    switch = Switch(config)
    server = ControlServer(tmp_path / "vosd.sock", [FollowCalls.followed_by(switch.trace)])
    await server.open()
    yield switch
    await server.close()


@pytest.fixture
def two_calls(switch: Switch) -> Switch:
    """One that ends while it is followed, and one that goes on."""
    switch.news = [
        TraceUpdate([news("first", INVITE), news("second", INVITE)], 0, is_over=False),
        TraceUpdate([], 0, is_over=False),
        TraceUpdate([news("first", BUSY, is_last=True)], 3, is_over=False),
        TraceUpdate([], 3, is_over=True),
    ]
    return switch


async def test_what_is_sought_and_for_how_long_is_sent(switch: Switch) -> None:
    switch.news = [TraceUpdate([], 0, is_over=True)]
    await switch.vosd("--caller", "49", "--callee", "44", "--gateway", "carrier-a", "--seconds", "5")
    await switch.vosd("--address", "192.0.2.7:5060", "--sip-call-id", "a@b")
    await switch.vosd()
    sought = {"caller": "49", "callee": "44", "gateway": "carrier-a"}
    of_leg = CallSought(address="192.0.2.7:5060", sip_call_id="a@b")
    assert switch.asked == [
        FollowCalls(CallSought(**sought), 5),
        FollowCalls(of_leg, 600),
        FollowCalls(CallSought(), 600),
    ]


async def test_each_call_is_drawn_when_it_has_ended_and_the_others_at_the_end(two_calls: Switch) -> None:
    done = await two_calls.vosd()
    assert done.exit_code == 0
    first, second = done.stdout.split("\n\ncall ")
    assert first.startswith("call first: 4930 -> 4420, 2026-09-21T14:13:20.000Z\n")
    assert "|<----------|  486 Busy Here (1 INVITE)\n" in first
    assert "\nNormal: 200 to the caller" in first
    assert second.startswith("second: ")
    assert second.endswith("the call goes on\n\n")


async def test_the_calls_are_announced_and_the_missing_ones_counted_on_standard_error(two_calls: Switch) -> None:
    lines = (await two_calls.vosd()).stderr.splitlines()
    assert lines[0] == "following new calls for 600 s; Ctrl-C ends it"
    assert [line.partition(":")[0] for line in lines[1:3]] == ["call first", "call second"]
    assert lines[3].startswith("3 more calls fitted")
    assert len(lines) == 4


async def test_json_is_one_document_with_every_message(two_calls: Switch) -> None:
    calls: list[dict[str, Any]] = json.loads((await two_calls.vosd("--json")).stdout)
    assert [(call["call_id"], len(call["messages"])) for call in calls] == [("first", 2), ("second", 1)]
    assert calls[0]["outcome"]["end_reason"] == "Normal"
    assert calls[0]["gateways"] == ["carrier-a"]
    assert calls[1]["outcome"] is None
    assert calls[0]["messages"][1] == {
        "at": "2026-09-21T14:13:20.000Z",
        "way": "out",
        "leg": 0,
        "transport": "udp",
        "local_host": "192.0.2.1",
        "local_port": 5060,
        "remote_host": "198.51.100.10",
        "remote_port": 5060,
        "message": f"SIP/2.0 486 Busy Here\r\n{HEADERS}X-Bytes: \ufffd\r\n\r\n",
    }


async def test_a_capture_holds_the_messages_and_is_readable_by_its_owner_only(
    two_calls: Switch, tmp_path: Path
) -> None:
    file = tmp_path / "calls.pcap"
    await two_calls.vosd("--pcap", str(file))
    assert file.read_bytes() == FILE_HEADER + packet(INVITE) + packet(INVITE) + packet(BUSY)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_a_capture_that_cannot_be_written_is_exit_1(switch: Switch, tmp_path: Path) -> None:
    done = await switch.vosd("--pcap", str(tmp_path / "nowhere" / "calls.pcap"))
    assert (done.exit_code, switch.asked) == (1, [])
    assert "calls.pcap cannot be written: No such file" in done.stderr


async def test_a_switch_that_goes_away_is_exit_4(switch: Switch) -> None:
    switch.news = [TraceUpdate([news("first", INVITE)], 0, is_over=False)]
    done = await switch.vosd()
    assert done.exit_code == 4
    assert "went away while calls were followed" in done.stderr


def test_without_a_switch_it_is_exit_4(tmp_path: Path) -> None:
    config = tmp_path / "vosd.yaml"
    config.write_text(f"control_socket: {tmp_path / 'vosd.sock'}\n")
    assert CliRunner().invoke(main, ["-c", str(config), "trace"]).exit_code == 4


@pytest.mark.parametrize("seconds", ["0", "86401", "soon"])
def test_a_time_without_end_is_wrong_usage(seconds: str) -> None:
    assert CliRunner().invoke(main, ["trace", "--seconds", seconds]).exit_code == 2
