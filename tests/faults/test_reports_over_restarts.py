"""States of calls at a real HTTP server that is away at first, over a kill of the switch, and at another one then."""

from collections import defaultdict
from pathlib import Path

from doubles.report_server import ReportServer
from e2e.addresses import OTHER_REPORT_SERVER, REPORT_SERVER
from e2e.conditions import eventually

from .conftest import CONFIGURATION

RINGING, UNRATED = "4490001", "9912345"
REPORTED = f"""{CONFIGURATION}
call_reports: {{url: "http://$receiver/calls?from=sw1", secret_file: reports.secret, retry_interval: 0.1}}
"""


def test_every_state_of_every_call_arrives_once_by_its_id_and_in_the_order_of_the_call(stage, tmp_path: Path) -> None:
    secret = tmp_path / "reports.secret"
    secret.touch(0o600)
    secret.write_text("first\n")
    scene = stage(configuration=REPORTED, receiver=str(REPORT_SERVER))
    scene.vendor.behaviours = {RINGING: "rings"}
    scene.answered(2)
    ringing = scene.customer.call(RINGING)
    eventually(lambda: 180 in ringing.statuses, "a call that rings")
    first, second = scene.customer.answered
    scene.customer.hang_up(first)
    eventually(lambda: first.bye_status == 200, "a call that has ended while the server is away")
    eventually(lambda: scene.events("call_reports_down"), "the server is found to be away")
    waiting = scene.daemon.ask("status")["call_reports"]
    scene.daemon.kill()

    with ReportServer(REPORT_SERVER, b"first") as server, ReportServer(OTHER_REPORT_SERVER, b"second") as other:
        server.fails = [503, "close"]
        scene.daemon.start()
        scene.customer.hang_up(second)
        found = server.wait_for(waiting + 2)
        eventually(lambda: scene.daemon.ask("status")["call_reports"] == 0, "nothing waits")
        records = eventually(lambda: len(rows := scene.records()) == 3 and rows, "the records")
        records = [each for each in records if each["answered_at"]]
        states = defaultdict(list)
        for report in found:
            states[report["call_id"]].append((report["seq"], report["state"]))
        assert all(each == sorted(set(each)) for each in states.values())
        ends = {each["call_id"]: each for each in found if each["state"] == "ended"}
        assert sorted(each["end_reason"] for each in ends.values()) == ["Lost", "Normal", "Normal"]
        assert {each["call_id"]: (each["fee"], each["hold_time_ms"]) for each in records} == {
            each["call_id"]: (each["fee"], each["hold_time_ms"]) for each in ends.values() if each["fee"] is not None
        }
        answered = [call_id for call_id, each in states.items() if "answered" in dict(each).values()]
        assert sorted(answered) == sorted(each["call_id"] for each in records)
        assert len(server.different()) == waiting + 2
        assert server.faults == []

        secret.write_text("second\n")
        changed = scene.daemon.configuration_file.read_text().replace(str(REPORT_SERVER), str(OTHER_REPORT_SERVER))
        scene.daemon.configure(changed)
        scene.daemon.succeed("reload")
        scene.customer.call(UNRATED)
        (refused,) = other.wait_for(1)
        assert (refused["state"], refused["end_reason"], refused["callee_in"]) == ("ended", "No Matching Rate", UNRATED)
        assert other.faults == []
        assert scene.daemon.interrupt() == 0
