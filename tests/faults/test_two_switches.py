"""Two switches on one database: the second does not start, one that lost the lease takes no call, none has to wait."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from doubles.daemon import Daemon
from e2e.conditions import eventually

from .conftest import CONFIGURATION, MARIADB, SQLITE_URL

on_mariadb = pytest.mark.parametrize("database", [MARIADB], indirect=True)


def refused_beside(scene, directory: Path, database, node: str = "faults") -> str:
    """Start another switch on the same database, with a state directory and a socket of its own; return its error."""
    directory.mkdir()
    text = CONFIGURATION.replace(SQLITE_URL, database.url).replace("node: faults", f"node: {node}")
    for name, value in {"switch": "127.0.0.1:15999", "customer": "127.0.0.11", "vendor": "127.0.0.21:5060"}.items():
        text = text.replace(f"${name}", value)
    second = Daemon(directory, text)
    second.start(wait=False)
    try:
        assert second.wait() == 1
    finally:
        second.kill()
    (message,) = [line for line in second.log_file.read_text().splitlines() if line.startswith("Error: ")]
    return message


@on_mariadb
def test_a_second_switch_is_refused_and_told_who_runs(stage, tmp_path, database):
    scene = stage(configuration=CONFIGURATION.replace(SQLITE_URL, database.url))

    for node, advice in (("faults", "stop it first"), ("other", "cannot share a database yet")):
        message = refused_beside(scene, tmp_path / node, database, node)
        assert f"pid {scene.daemon.pid} runs on this database" in message
        assert "node faults on host" in message
        assert advice in message
    scene.answered(1)
    assert scene.daemon.ask("status")["database"]["state"] == "well"


def test_after_a_kill_the_switch_starts_at_once(stage, database):
    scene = stage(configuration=CONFIGURATION.replace(SQLITE_URL, database.url))
    for _ in range(2):
        scene.daemon.kill()
        scene.daemon.start()
    scene.answered(1)
    assert database.ask("SELECT epoch FROM lease") == [(3,)]


@on_mariadb
def test_a_switch_that_lost_the_lease_takes_no_call_ends_none_and_books_what_ends(stage, database):
    scene = stage(configuration=CONFIGURATION.replace(SQLITE_URL, database.url))
    scene.answered(2)
    own = database.ask("SELECT holder, process FROM lease")[0]
    # as if another host had taken it after it had run out
    database.ask("UPDATE lease SET holder = 'other', host = 'elsewhere', pid = 7, process = 'x', epoch = epoch + 1")
    lost = eventually(
        lambda: (found := scene.daemon.ask("status")["database"])["state"] == "lease_lost" and found, "the lease lost"
    )
    assert lost["lease"] == "node faults on host elsewhere, pid 7"

    call = scene.customer.call("441234567")
    eventually(lambda: call.statuses[-1:] == [503], lambda: f"503 to a new call: {call.statuses}")
    (ended, running) = scene.customer.answered
    scene.customer.hang_up(ended)
    eventually(lambda: any(each["end_reason"] == "Normal" for each in scene.records()), "the ended call booked")
    assert scene.daemon.ask("status")["calls"] == 1
    (event,) = scene.events("lease_lost")
    assert "elsewhere, pid 7" in event["why"]

    database.ask("UPDATE lease SET released = 1")
    eventually(lambda: scene.daemon.ask("status")["database"]["state"] == "well", "the lease back")
    assert database.ask("SELECT holder, process FROM lease") == [own]
    scene.customer.hang_up(running)
    scene.answered(1, first=9)
    scene.daemon.succeed("ledger", "verify")


@pytest.mark.mariadb
@pytest.mark.parametrize(("moved_ms", "why"), [(-3_601_000, "ran last"), (3_600_000, "the clock is")])
def test_a_machine_that_was_not_the_switch_for_long_waits_for_a_database_that_is_away(
    stage, tmp_path, server, moved_ms, why
):
    """The copy of the spare switch is older than the run of the other one: accounts may be blocked or empty since.

    Where the clock is behind it, its age is unknown.
    """
    text = CONFIGURATION.replace(f'"{SQLITE_URL}"', f'"{server.create_database("vosd")}", start_without: 1')
    (tmp_path / "spare").mkdir()
    spare = stage(tmp_path / "spare", text)
    spare.compared()
    spare.daemon.interrupt()
    with closing(sqlite3.connect(tmp_path / "spare" / "var" / "last-known.db")) as copy, copy:
        copy.execute("UPDATE time SET at = at + ?", (moved_ms,))
    scene = stage(configuration=text)
    server.stop()

    spare.daemon.start(wait=False)
    away = eventually(lambda: [line for line in spare.events("database_away") if line["part"] == "start"], "it waits")
    assert why in away[0]["waits_because"]
    assert "database.start_without_age" in away[0]["waits_because"]
    spare.daemon.kill()
    scene.answered(1)
