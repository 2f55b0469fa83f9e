"""The control protocol: both sides share its types, and say so where the other one is of another version."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from doubles.fake_switch import FakeSwitch

import vosd.control.calls
import vosd.control.installation
import vosd.control.money
import vosd.control.peers
import vosd.control.routes
import vosd.control.traces
from vosd.control.calls import CallSelection, Hangup, HangupOutcome, ListCalls, MakeTestCall
from vosd.control.client import (
    AnswerLostError,
    DaemonRefusedError,
    DaemonUnreachableError,
    NoDaemonError,
    OtherVersionError,
    RunningSwitch,
)
from vosd.control.installation import Restart, Successor
from vosd.control.order import PROTOCOL, Following, Order, OrderDone, result_type, tag_of
from vosd.control.server import CommandError
from vosd.control.traces import CallSought, FollowCalls, TraceUpdate

HANGUP = Hangup(CallSelection(account="acme"), at_most=1)
MODULES = (
    vosd.control.calls,
    vosd.control.installation,
    vosd.control.money,
    vosd.control.peers,
    vosd.control.routes,
    vosd.control.traces,
)
ORDERS = [
    each
    for module in MODULES
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, Order | Following) and each.__module__ == module.__name__
]


async def test_an_order_arrives_as_it_was_sent_and_its_result_comes_back_as_its_type(tmp_path: Path) -> None:
    async with FakeSwitch(tmp_path / "s").answers(Hangup, HangupOutcome(fitting=2, ended=0)) as switch:
        answer = await RunningSwitch(tmp_path / "s").ask(HANGUP)
    assert (switch.asked, answer) == ([HANGUP], HangupOutcome(2, 0))


async def test_a_series_comes_back_as_its_type(tmp_path: Path) -> None:
    updates = [TraceUpdate([], 0, is_over=False), TraceUpdate([], 3, is_over=True)]
    async with FakeSwitch(tmp_path / "s").reports(FollowCalls, *updates) as switch:
        found = [each async for each in RunningSwitch(tmp_path / "s").follow(FollowCalls(CallSought(), 5))]
    assert (switch.asked, found) == ([FollowCalls(CallSought(), 5)], updates)


async def test_a_refusal_has_its_sentence_its_code_and_its_problems(tmp_path: Path) -> None:
    async with FakeSwitch(tmp_path / "s").answers(Hangup, CommandError("no", ["a", "b"])):
        with pytest.raises(DaemonRefusedError) as refused:
            await RunningSwitch(tmp_path / "s").ask(HANGUP)
    assert (str(refused.value), refused.value.problems, refused.value.code) == ("no", ("a", "b"), "command")


async def test_a_result_with_a_renamed_field_is_refused_and_not_guessed_at(tmp_path: Path) -> None:
    renamed: Any = {"fits": 2, "ended": 0}
    async with FakeSwitch(tmp_path / "s").answers(Hangup, renamed):
        with pytest.raises(OtherVersionError, match="missing required field `fitting`"):
            await RunningSwitch(tmp_path / "s").ask(HANGUP)


@asynccontextmanager
async def answering(path: Path, answer: bytes) -> AsyncIterator[RunningSwitch]:
    """Run a switch that answers every order so, and goes away."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(respond, path):
        yield RunningSwitch(path)


@pytest.mark.parametrize("answer", [b"", b'{"protocol":2,"result":{"fitting":'])
async def test_what_became_of_a_change_is_not_known_where_its_answer_breaks_off(tmp_path: Path, answer: bytes) -> None:
    async with answering(tmp_path / "s", answer) as switch:
        with pytest.raises(AnswerLostError):
            await switch.ask(HANGUP)
        with pytest.raises(DaemonUnreachableError) as away:
            await switch.ask(ListCalls())
    assert type(away.value) is DaemonUnreachableError


async def test_what_became_of_a_test_call_is_not_known_where_a_report_breaks_off(tmp_path: Path) -> None:
    async with answering(tmp_path / "s", b'{"protocol":2,"result":{"steps":') as switch:
        with pytest.raises(AnswerLostError):
            await anext(switch.follow(MakeTestCall("carrier", "4420")))
        with pytest.raises(DaemonUnreachableError) as away:
            await anext(switch.follow(FollowCalls(CallSought(), 5)))
    assert type(away.value) is DaemonUnreachableError


@pytest.mark.parametrize(
    ("answer", "switch"),
    [
        ({"error": "not a request: Object missing required field `verb`"}, "of an earlier version with .* protocol 1"),
        ({"protocol": PROTOCOL + 1, "switch": "9.0", "result": {}}, f"vosd 9.0 with control protocol {PROTOCOL + 1}"),
    ],
)
async def test_a_switch_of_another_version_is_named_in_a_sentence(tmp_path: Path, answer: Any, switch: str) -> None:
    with pytest.raises(
        OtherVersionError, match=f"different versions .*{switch}.*belongs to the switch, for `vosd restart`, too"
    ):
        async with answering(tmp_path / "s", json.dumps(answer).encode() + b"\n") as other:
            await other.ask(HANGUP)


@pytest.mark.parametrize(
    "line", [b'{"verb": "status", "arguments": {}}', b'{"protocol": 99, "order": {"order": "status", "new": 1}}']
)
async def test_a_command_of_another_version_gets_a_sentence(tmp_path: Path, line: bytes) -> None:
    async with FakeSwitch(tmp_path / "s").answers(Hangup, HangupOutcome(0, 0)):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(line + b"\n")
        answer = json.loads(await asyncio.wait_for(reader.readline(), 30))
        writer.close()
    assert answer["code"] == "other_version"
    assert "are of different versions" in answer["error"]


async def test_a_switch_of_another_version_is_restarted(tmp_path: Path) -> None:
    async with FakeSwitch(tmp_path / "s").answers(Restart, Successor(7)) as switch:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b'{"protocol": 99, "order": {"order": "restart"}}\n')
        answer = json.loads(await asyncio.wait_for(reader.readline(), 30))
        writer.close()
    assert (answer["result"], switch.asked) == ({"pid": 7}, [Restart()])


@pytest.mark.parametrize(
    ("code", "error"),
    [("not_restarted", DaemonRefusedError), ("unknown_order", OtherVersionError), ("other_version", OtherVersionError)],
)
async def test_why_a_switch_of_another_version_is_not_restarted_is_said(
    tmp_path: Path, code: str, error: type[DaemonRefusedError]
) -> None:
    answer = {"protocol": PROTOCOL - 1, "switch": "0.9", "error": "nothing watches", "code": code, "problems": ["a"]}
    async with answering(tmp_path / "s", json.dumps(answer).encode() + b"\n") as other:
        with pytest.raises(DaemonRefusedError) as refused:
            await other.ask(Restart())
    assert type(refused.value) is error
    is_said = (str(refused.value), refused.value.problems) == ("nothing watches", ("a",))
    assert is_said == (error is DaemonRefusedError)


async def test_without_a_switch_there_is_no_result(tmp_path: Path) -> None:
    switch = RunningSwitch(tmp_path / "s")
    assert await switch.ask_if_running(HANGUP) is None
    with pytest.raises(NoDaemonError):
        await switch.ask(HANGUP)


def test_every_order_has_a_name_of_its_own_and_a_result_that_can_be_read() -> None:
    assert len({tag_of(each) for each in ORDERS}) == len(ORDERS) > 20
    for each in ORDERS:
        msgspec.json.Decoder(result_type(each))
    assert result_type(Hangup) is HangupOutcome


def test_an_order_leaves_out_what_is_default(tmp_path: Path) -> None:
    assert msgspec.json.decode(msgspec.json.encode(HANGUP)) == {
        "order": "hangup",
        "selection": {"account": "acme"},
        "at_most": 1,
    }
    encode: Callable[[object], bytes] = msgspec.json.encode
    assert encode(OrderDone()) == b"{}"
