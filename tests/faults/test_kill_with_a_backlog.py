"""kill -9 in an outage with many files of the journal: a start reads copies of their ends and books all once."""

import pytest
from doubles.small_files import small_files_of_the_journal
from e2e.conditions import eventually

from .conftest import CONFIGURATION

SQLITE_URL = "sqlite+aiosqlite:///$directory/vosd.db"
CALLS = 24


@pytest.mark.mariadb
def test_a_backlog_is_booked_once_over_two_kills_and_calls_go_on_beside_it(stage, server, tmp_path):
    text = CONFIGURATION.replace(SQLITE_URL, server.create_database("vosd"))
    scene = stage(configuration=text, prepare=small_files_of_the_journal)
    daemon, journal = scene.daemon, tmp_path / "var" / "journal"
    scene.answered(2)
    goes_on, ends_later = scene.customer.answered
    server.stop()
    eventually(lambda: daemon.ask("status")["database"]["state"] == "away", "the outage noticed")
    for first in range(0, CALLS, 8):
        scene.answered(8, first=10 + first)
        for call in scene.customer.answered[-8:]:
            scene.customer.hang_up(call)
        eventually(lambda: daemon.ask("status")["calls"] == 2, "they end")
    eventually(lambda: len([*journal.glob("*.ends")]) >= 2, "copies of the ends of older files")
    daemon.kill()

    server.start()
    daemon.start()
    daemon.kill()  # before or while it books
    daemon.start()
    assert daemon.ask("status")["calls"] == 2
    scene.answered(1, first=99)
    for call in (goes_on, ends_later, scene.customer.answered[-1]):
        scene.customer.hang_up(call)
    eventually(lambda: daemon.ask("status")["spool_rows"] == 0, "everything booked")
    records = eventually(lambda: len(found := scene.records()) == 2 + CALLS + 1 and found, "each call once")
    assert {record["end_reason"] for record in records} == {"Normal"}
    assert not [*journal.glob("*.ends")]
    daemon.succeed("ledger", "verify")
