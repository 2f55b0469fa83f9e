"""Messages of a call: afterwards, without having enabled anything, and live."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from doubles.sockets.peer import OutgoingCall, Peer

from .addresses import VENDORS
from .conditions import eventually
from .conversation import conversing
from .stage import Stage

SECRET = "0123456789abcdef0123456789abcdef"
CREDENTIALS = f'Authorization: Digest username="acme", nonce="n", uri="sip:x", response="{SECRET}"'


def test_a_call_that_failed_is_drawn_afterwards_with_both_attempts(stage: Stage, tmp_path: Path) -> None:
    with (
        Peer(VENDORS["carrier-b"]) as first,
        Peer(VENDORS["carrier-c"]) as second,
        Peer(stage.endpoint_of("acme")) as customer,
    ):
        call = OutgoingCall(customer, stage.address, stage.number("4420"))
        call.invite([CREDENTIALS])
        refuse(first, 503)
        refuse(second, 486)
        assert call.refused().status == 486
    record = stage.record_of(call.callee)
    capture = tmp_path / "call.pcap"

    drawn = stage.daemon.succeed("cdr", "show", record["call_id"], "--ladder", "--pcap", str(capture))
    shown = stage.daemon.ask("cdr", "show", record["call_id"], "--ladder")
    page = stage.daemon.succeed("why", "--callee", call.callee)

    lines = drawn.splitlines()
    assert lines[0].startswith(f"call {record['call_id']}: ")
    assert [line.split()[2] for line in lines[3:5]] == ["carrier-b", "carrier-c"]
    assert max(map(len, lines)) <= 100
    assert "Busy: 486 to the caller, Q.850 cause 17, ended by callee" in lines
    starts = [message["message"].split(" ")[:2] for message in shown["messages"] if message["leg"] == 2]
    kinds = [start[0] if start[0] != "SIP/2.0" else start[1] for start in starts]
    assert [*dict.fromkeys(kinds)] == ["INVITE", "486", "ACK"]  # on a busy machine some are repeated
    assert shown["end_reason"] == "Busy"
    assert "Authorization: blanked" in shown["messages"][0]["message"]
    assert SECRET not in json.dumps(shown) + page
    assert page.splitlines()[1] == "  Busy, 486: A gateway said that the called party is busy."
    assert drawn.strip() in page, "the ladder"
    assert SECRET.encode() not in capture.read_bytes()
    assert capture.read_bytes().count(b"INVITE sip:") >= 3


def test_a_call_is_drawn_while_it_runs_and_not_after_it_has_ended_well(stage: Stage) -> None:
    with conversing(stage, "4410") as (talk,):
        talk.establish()
        (running,) = stage.daemon.ask("calls")
        short = running["call_id"][:18]
        so_far = stage.daemon.succeed("cdr", "show", short, "--ladder")
        document = stage.daemon.ask("cdr", "show", short, "--ladder")
        without = stage.daemon.verb("cdr", "show", short)
        page = stage.daemon.ask("why", "--callee", talk.callee)
        among_calls = stage.daemon.succeed("calls", "--ladder", short)
        talk.hang_up()
    assert so_far.splitlines()[0].startswith(f"call {running['call_id']}: ")
    assert "ACK 1" in so_far
    assert among_calls == so_far
    assert (page["live"], page["calls"], [each["state"] for each in page["running"]]) == (True, [], ["talking"])
    assert page["running"][0]["messages"][0]["message"].startswith("INVITE ")
    assert stage.daemon.verb("calls", "--ladder", short).code == 1
    assert so_far.rstrip().endswith("the call goes on")
    assert (document["outcome"], document["gateways"]) == (None, ["carrier-a"])
    assert (without.code, "still runs" in without.stderr) == (1, True)
    record = stage.record_of(talk.callee)
    assert stage.daemon.verb("cdr", "show", record["call_id"], "--ladder").code == 1


def test_new_calls_are_followed_live_until_the_follower_stops(stage: Stage, tmp_path: Path) -> None:
    capture = tmp_path / "live.pcap"
    nobodys = stage.daemon.verb("trace", "--gateway", "carier-a")
    assert (nobodys.code, "'carrier-a'" in nobodys.stderr) == (1, True)
    with (
        conversing(stage, "4410", "4410") as (wanted, other),
        following(stage, "--callee", wanted.callee, "--pcap", str(capture)) as follower,
    ):
        other.establish()
        wanted.establish()
        eventually(lambda: capture.read_bytes().count(b"ACK sip:") >= 2, "both ACKs in the capture")
        other.hang_up()
        follower.send_signal(signal.SIGINT)
        drawn, _ = follower.communicate(timeout=60)
        wanted.hang_up()
    stage.expect_nothing_left()
    assert follower.returncode == 0
    titles = [line for line in drawn.splitlines() if line.startswith("call ")]
    assert [title.partition(" -> ")[2].partition(",")[0] for title in titles] == [wanted.callee]
    assert drawn.endswith("\nthe call goes on\n\n")


@contextmanager
def following(stage: Stage, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run ``vosd trace``; the body begins once the switch lets it follow calls."""
    executable = Path(sys.executable).with_name("vosd")
    words = [executable, "trace", "--config", stage.daemon.configuration_file, "--seconds", "30", *options]
    # A run of the tests in the background of a shell ignores SIGINT, and so would the verb.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        follower = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, heard)
    with follower:
        assert follower.stderr is not None
        assert follower.stderr.readline().startswith("following new calls")
        yield follower


def refuse(vendor: Peer, status: int) -> None:
    vendor.reply(vendor.expect("INVITE"), status, tag="vendor")
    vendor.expect("ACK")
