"""The dynamic blacklist of the real daemon: a caller is refused, listed, kept over a restart, and cleared."""

from datetime import datetime
from pathlib import Path
from typing import Any

from doubles.daemon import Daemon
from doubles.sockets.peer import OutgoingCall, Peer

from vosd.obs.events import Event

from .addresses import BLACKLISTING_SWITCH, VENDORS
from .conditions import eventually
from .stage import Stage, configuration

REFUSED = (403, 'Q.850;cause=21;text="Number Not Allowed"')


def test_a_caller_without_answers_is_refused_until_it_is_cleared(tmp_path: Path) -> None:
    with Daemon(tmp_path, configuration("blacklist.yaml", BLACKLISTING_SWITCH)) as daemon:
        stage = Stage(daemon, BLACKLISTING_SWITCH, Event.CALLER_BLACKLISTED)
        with Peer(VENDORS["carrier-a"]) as vendor:
            assert [dial(stage, vendor) for _ in range(2)] == [486, 486]
            assert stage.daemon.ask("blacklist", "list") == []
            assert [dial(stage, vendor) for _ in range(2)] == [REFUSED, REFUSED]
            assert dial(stage, vendor, caller="12025550199") == 486
            assert [dial(stage, vendor, customer="poor") for _ in range(3)] == [486] * 3
            (listed,) = daemon.ask("blacklist", "list")
            assert (listed["caller"], listed["mapping_gateway"]) == ("12025550100", "acme-pbx")
            assert (listed["cause"], listed["limit"]) == ("no_answer", 2)
            assert 3_500 < listed["remaining_s"] <= 3_600
            assert stage.status()["blacklisted"] == 1
            (event,) = [line for line in daemon.log() if line.get("event") == "caller_blacklisted"]
            assert (event["level"], event["caller"]) == ("info", "12025550100")
            assert apart_s(event["until"], listed["until"]) < 5

            assert daemon.interrupt() == 0
            daemon.start()
            (still,) = daemon.ask("blacklist", "list")
            assert still["since"] == listed["since"]
            assert apart_s(still["until"], listed["until"]) < 5
            assert dial(stage, vendor) == REFUSED

            assert daemon.verb("blacklist", "clear", "7").code == 1
            assert daemon.ask("blacklist", "clear", "+1-202-5550100") == {"number": "12025550100", "cleared": 1}
            assert daemon.ask("blacklist", "list") == []
            assert dial(stage, vendor) == 486
        stage.expect_nothing_left()
        refused = eventually(lambda: refusals(stage, 3), "three records of refused calls")
        assert [(each["sip_code"], each["hangup_source"], each["attempts"]) for each in refused] == [
            (403, "switch", [])
        ] * 3
        stage.expect_books_in_order()


def apart_s(one: str, other: str) -> float:
    """Return how far two times are apart: each is a deadline of the monotonic clock, told by the wall clock of now."""
    return abs((datetime.fromisoformat(one) - datetime.fromisoformat(other)).total_seconds())


def refusals(stage: Stage, wanted: int) -> list[dict[str, Any]]:
    """Return the records of refused calls, none until there are as many as wanted."""
    found = [each for each in stage.records() if each["end_reason"] == "Number Not Allowed"]
    return found if len(found) >= wanted else []


def dial(
    stage: Stage, vendor: Peer, *, caller: str = "12025550100", customer: str = "acme"
) -> int | tuple[int | None, str]:
    """Call a vendor that is busy; return that status, or status and Reason of a refusal by the switch."""
    with Peer(stage.endpoint_of(customer)) as peer:
        call = OutgoingCall(peer, stage.address, stage.number("4410"), caller)
        call.invite()
        while True:
            incoming = vendor.receive(0.02)
            if incoming is not None and incoming.method == "INVITE":
                vendor.reply(incoming, 486, tag=f"vendor-{call.callee}")
            response = peer.receive(0.02)
            if response is not None and response.status != 100:
                call.remote_to = response["To"]
                call.send(call.request("ACK", branch="INVITE"))
                return 486 if response.status == 486 else (response.status, response["Reason"])
