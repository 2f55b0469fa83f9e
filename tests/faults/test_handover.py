"""``vosd restart``: a new process takes the calls over, and is ready for it before the old one stops."""

import itertools
import os
import re
import signal
import sqlite3
import threading
from contextlib import closing

import pytest
from doubles.descriptor_store import DescriptorStore
from doubles.migrated import migrated
from e2e.conditions import eventually

from .conftest import CONFIGURATION
from .test_calls_outlive_the_process import keeping
from .test_legs_after_a_kill import RINGING, quiet

OTHER_FORM = """
import os
if "VOSD_PREDECESSOR" in os.environ:
    import msgspec
    from vosd.engine.calls import saved
    earlier = msgspec.defstruct("SavedCall", [("parts", int)], bases=(msgspec.Struct,))
    saved._decode = msgspec.msgpack.Decoder(earlier).decode
"""


@pytest.fixture
def manager(tmp_path, monkeypatch):
    with DescriptorStore(tmp_path) as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture
def successors():
    """Process ids of successors, which are executed and no children of the test: they are killed at its end."""
    found: list[int] = []
    yield found
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def test_a_restart_hands_calls_over_to_a_process_that_was_ready_before(stage, manager, successors):
    scene, ringing = keeping(stage, answered=3)
    before = scene.daemon.pid
    said = scene.daemon.succeed("restart")
    status = scene.daemon.ask("status")
    successors.append(status["pid"])
    assert status["pid"] != before
    assert said == f"process {status['pid']} (vosd {status['version']}) has taken over 4 calls\n"
    assert scene.daemon.wait() == 0
    assert [kept["calls"] for kept in scene.events("calls_kept")] == [4]
    assert not scene.vendor.counted("BYE") + scene.vendor.counted("CANCEL") + scene.customer.counted("BYE")
    states = [each for each in manager.said if each.startswith(("MAINPID=", "READY=1", "STOPPING=1"))]
    assert [each.splitlines()[0] for each in states] == ["READY=1", f"MAINPID={status['pid']}", "READY=1"]
    [call_id] = [each for each, invite in scene.vendor.invites.items() if RINGING in invite.start_line]
    scene.vendor.answer(call_id)
    eventually(lambda: ringing.answer is not None, "the call that rang is answered")
    scene.answered(1, first=77)
    for call in scene.customer.answered:
        scene.customer.hang_up(call)
    eventually(quiet(scene), "nothing is left")
    records = eventually(lambda: len(found := scene.records()) == 5 and found, "the records")
    assert {record["end_reason"] for record in records} == {"Normal"}
    scene.daemon.succeed("ledger", "verify")


def test_calls_that_arrive_during_a_restart_are_all_answered(stage, manager, successors):
    """Messages that arrive while no process reads wait in the sockets.

    On a busy machine an INVITE may wait so long that it is dropped; its repetition is served. The vendor's answers wait
    there, too, so they have the time that RFC 3261 gives them.
    """
    scene, _ = keeping(stage, answered=1, timers="{}")
    is_over = threading.Event()
    placed = itertools.count(100)

    def call_on() -> None:
        while not is_over.wait(0.1):
            scene.customer.call(f"44{next(placed):07d}")

    calling = threading.Thread(target=call_on)
    calling.start()
    try:
        assert scene.daemon.verb("restart").code == 0
    finally:
        is_over.set()
        calling.join()
    successors.append(scene.daemon.ask("status")["pid"])
    calls = next(placed) - 100
    assert calls > 0
    for call in [each for each in scene.customer.calls.values() if not each.statuses]:
        scene.customer.call_again(call)
    eventually(lambda: len(scene.customer.answered) == calls + 1, "every call is answered")


def test_a_successor_that_finds_a_bad_configuration_leaves_the_switch_as_it_is(stage, manager):
    scene, _ = keeping(stage, answered=1)
    before = scene.daemon.pid
    good = scene.daemon.configuration_file.read_text()
    scene.daemon.configuration_file.write_text(good.replace("shutdown_grace: 1", "shutdown_grace: soon"))
    refused = scene.daemon.verb("restart")
    assert (refused.code, "shutdown_grace: value 'soon'" in refused.stderr) == (3, True), refused
    assert scene.daemon.ask("status")["pid"] == before
    scene.answered(1, first=7)
    assert scene.events("calls_kept") == []


def test_a_database_that_has_to_be_migrated_first_leaves_the_switch_as_it_is(stage, manager):
    scene, _ = keeping(stage, answered=1)
    before = scene.daemon.pid
    [file] = re.findall(r"sqlite\+aiosqlite:///(\S*\.db)", scene.daemon.configuration_file.read_text())
    with closing(sqlite3.connect(scene.daemon.directory / file)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0104'")
    connection.close()
    refused = scene.daemon.verb("restart")
    assert (refused.code, "run vosd migrate" in refused.stderr) == (1, True), refused
    assert scene.daemon.ask("status")["pid"] == before
    scene.answered(1, first=7)
    assert scene.events("calls_kept") == []


def test_a_restart_into_another_database_is_in_the_audit_of_that_one(stage, manager, successors):
    scene, _ = keeping(stage, answered=0)
    file = scene.daemon.configuration_file
    migrated(scene.daemon.directory / "other.db")
    file.write_text(
        re.sub(r"sqlite\+aiosqlite:///\S*\.db", f"sqlite+aiosqlite:///{file.parent}/other.db", file.read_text())
    )
    said = scene.daemon.succeed("restart")
    successors.append(scene.daemon.ask("status")["pid"])
    assert "has taken over" in said
    assert "RestartSwitch" in scene.daemon.succeed("audit")


def test_a_version_that_cannot_read_the_calls_gets_them_on_request_alone(
    stage, manager, successors, tmp_path, monkeypatch
):
    """The successor is made one whose form of a call has a field less."""
    (tmp_path / "sitecustomize.py").write_text(OTHER_FORM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    scene, _ = keeping(stage, answered=3)
    before = scene.daemon.pid
    refused = scene.daemon.verb("restart")
    assert (refused.code, "cannot read 3 of 3 running calls (Expected" in refused.stderr) == (1, True), refused
    assert "--end-calls" in refused.stderr
    assert scene.daemon.ask("status")["pid"] == before
    assert (scene.vendor.counted("BYE").total(), scene.events("calls_kept")) == (0, [])
    done = scene.daemon.verb("restart", "--end-calls")
    status = scene.daemon.ask("status")
    successors.append(status["pid"])
    assert (done.code, status["calls_lost"]) == (0, 3), done
    assert "3 calls have ended" in done.stderr
    eventually(lambda: scene.vendor.counted("BYE").total() == 3, "the calls end")


def test_a_switch_without_a_service_manager_is_not_restarted(stage):
    """A shell that has started it would take its end for the end of the switch."""
    scene = stage(configuration=f"{CONFIGURATION}on_sigterm: keep\n")
    refused = scene.daemon.verb("restart")
    assert (refused.code, "no service manager" in refused.stderr) == (1, True), refused
    assert scene.daemon.running
