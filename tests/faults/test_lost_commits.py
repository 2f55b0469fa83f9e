"""A database that has lost commits: every call is booked again from the journal, and no call is taken on lost money."""

import json
import os
import signal
from decimal import Decimal
from fnmatch import fnmatch
from pathlib import Path

import pytest
from e2e.conditions import eventually

from .conftest import CONFIGURATION
from .copies import Copies, MariaDbCopies, SqliteCopies

PREPAID = CONFIGURATION.replace(', overdraft_limit: "1000"', "")
SQLITE_URL = "sqlite+aiosqlite:///$directory/vosd.db"


MARIADB = pytest.param("mariadb", marks=pytest.mark.mariadb)
on_both = pytest.mark.parametrize("copies", ["sqlite", MARIADB], indirect=True)
on_mariadb = pytest.mark.parametrize("copies", [MARIADB], indirect=True)
"""What the contract of both databases does not decide is shown on one of them."""


@pytest.fixture
def copies(request, tmp_path) -> Copies:
    """The database of a switch in ``tmp_path``."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return SqliteCopies(tmp_path)
    return MariaDbCopies(request.getfixturevalue("mariadb_url"))


@pytest.fixture
def scene(stage, copies):
    """A switch on that database whose customer pays in advance."""
    return stage(configuration=PREPAID.replace(SQLITE_URL, copies.url))


def pay(scene, amount):
    scene.daemon.succeed("payment", "add", "--account", "acme", "--amount", amount)


def talk(scene, calls):
    """Make calls, end them and wait until they are booked."""
    before = len(scene.customer.answered)
    booked = len(scene.records()) + calls
    scene.answered(calls, first=before)
    for call in scene.customer.answered[before:]:
        scene.customer.hang_up(call)
    eventually(lambda: len(scene.records()) == booked, "every call booked")


def database_of(scene):
    return scene.daemon.ask("status")["database"]


def books(scene):
    """Return every account's balance and every CDR but its place in the order of commits."""
    balances = {name: scene.daemon.ask("account", "show", name)["balance"] for name in ("acme", "carrier")}
    return balances, {each["call_id"]: {**each, "export_seq": 0} for each in scene.records()}


def expect_mended(scene, calls):
    """Wait until so many calls were booked again; the books are right then."""

    def found() -> str:
        return f"{database_of(scene)}, {scene.daemon.log()[-5:]}"

    eventually(lambda: database_of(scene)["booked_again"] == calls, found)
    eventually(lambda: database_of(scene)["state"] == "well", found)
    eventually(lambda: scene.daemon.ask("status")["cdr_queue"] == 0, "nothing left to book")
    scene.daemon.succeed("ledger", "verify")


def is_stopped(pid):
    """Return whether each thread of a process is."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(each.read_text().rpartition(")")[2].split()[0] == "T" for each in threads)


def refused_call(scene):
    call = scene.customer.call("449999999")
    return eventually(lambda: call.statuses and call.statuses[-1] >= 200 and call.statuses[-1], "a final response")


@on_both
def test_a_running_switch_books_again_what_its_database_has_lost(scene, copies):
    pay(scene, "100")
    talk(scene, 2)
    copies.take()
    talk(scene, 5)
    before = books(scene)

    copies.put_back()

    expect_mended(scene, 5)
    assert books(scene) == before
    (event,) = scene.events("database_regressed")
    assert event["level"] == "error"
    (mended,) = scene.events("database_mended")
    assert (mended["booked_again"], mended["balances_changed"], mended["refused"]) == (5, 0, 0)
    assert database_of(scene)["regressed_at"] is not None
    talk(scene, 1)
    scene.daemon.succeed("ledger", "verify")


@on_mariadb
def test_a_block_that_was_lost_is_named_by_an_alarm_until_a_person_confirms_it(scene, copies):
    copies.take()
    scene.daemon.succeed("account", "block", "acme", "--memo", "fraud")
    eventually(lambda: scene.events("override_set"), "the block in force")

    copies.put_back()

    (alarm,) = eventually(lambda: scene.events("overrides_lost"), "the loss named")
    assert fnmatch(alarm["lost"], "blocked of account acme by *: fraud")
    assert [each["why"] for each in scene.events("override_ended")] == ["lost"]
    assert "overrides_lost" in [each["alarm"] for each in scene.daemon.ask("alarms")]
    scene.daemon.succeed("alarms", "--confirm", "overrides_lost", "--note", "blocked again")
    assert "overrides_lost" not in [each["alarm"] for each in scene.daemon.ask("alarms")]


@on_mariadb
def test_calls_are_not_taken_on_a_payment_that_was_lost(scene, copies):
    copies.take()
    pay(scene, "10")
    talk(scene, 1)
    charge = 10 - Decimal(scene.daemon.ask("account", "show", "acme")["balance"])

    copies.put_back()
    eventually(lambda: scene.events("database_regressed"), "lost commits noticed")

    assert refused_call(scene) in {402, 503}
    expect_mended(scene, 1)
    assert refused_call(scene) == 402
    assert Decimal(scene.daemon.ask("account", "show", "acme")["balance"]) == -charge
    (mended,) = scene.events("database_mended")
    assert mended["balances"].keys() == {"acme"}


@pytest.mark.parametrize(
    ("copies", "ends"),
    [("sqlite", "in order"), pytest.param("mariadb", "by kill -9", marks=pytest.mark.mariadb)],
    indirect=["copies"],
)
def test_a_restore_while_the_switch_is_down_is_noticed_at_its_start(scene, copies, ends):
    pay(scene, "100")
    talk(scene, 1)
    copies.take()
    talk(scene, 4)
    before = books(scene)
    if ends == "in order":
        assert scene.daemon.interrupt() == 0
    else:
        scene.daemon.kill()

    copies.put_back()
    scene.daemon.start()

    expect_mended(scene, 4)
    assert books(scene) == before


def test_a_database_that_was_restored_once_more_during_the_mending_is_mended_again(scene, copies):
    pay(scene, "100")
    copies.take()
    talk(scene, 3)
    before = books(scene)[1]
    for times in (1, 2):
        copies.put_back()
        eventually(lambda: database_of(scene)["booked_again"] == 3 * times, lambda: str(database_of(scene)))  # noqa: B023
    eventually(lambda: database_of(scene)["state"] == "well", lambda: str(database_of(scene)))
    assert books(scene)[1] == before
    scene.daemon.succeed("ledger", "verify")


def test_a_database_file_that_was_replaced_is_opened_anew(scene, copies):
    pay(scene, "100")
    copies.take()
    talk(scene, 2)
    before = books(scene)[1]
    writers = [scene.daemon.pid, *scene.daemon.children()]
    for pid in writers:  # what one of them wrote to a new WAL in between would damage the copy
        os.kill(pid, signal.SIGSTOP)
    for pid in writers:  # the signal is heard when the process runs next: on a busy machine, some time later
        eventually(lambda: is_stopped(pid), "a process that is stopped")  # noqa: B023
    for name in ("vosd.db-wal", "vosd.db-shm"):
        (copies.file.parent / name).unlink(missing_ok=True)
    (copies.file.parent / "copy.db").replace(copies.file)
    for pid in writers:
        os.kill(pid, signal.SIGCONT)

    expect_mended(scene, 2)
    assert books(scene)[1] == before


@on_mariadb
def test_a_lost_record_shows_in_verify_while_calls_run_and_end(scene, copies):
    pay(scene, "100")
    scene.answered(6)
    for call in scene.customer.answered[:5]:
        scene.customer.hang_up(call)
        scene.daemon.succeed("ledger", "verify")
    eventually(lambda: len(scene.records()) == 5, "every ended call booked")
    lost = scene.records()[0]["call_id"]
    key = lost.replace("-", "")

    copies.ask(f"DELETE FROM cdr WHERE call_id = x'{key}'")
    copies.ask(f"DELETE FROM ledger_entry WHERE call_id = x'{key}'")

    found = scene.daemon.verb("ledger", "verify", "--json")
    assert found.code == 1
    faults = {each["fault"] for each in json.loads(found.stdout)["differences"] if each["call_id"] == lost}
    assert "the journal has the call, the database has no CDR of it" in faults
