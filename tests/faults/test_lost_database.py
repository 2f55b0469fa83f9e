"""A database that is gone: no new one takes its place unasked, and missing payments are an alarm until confirmed."""

import sqlite3
from contextlib import closing

import pymysql
import pytest
from e2e.conditions import eventually
from sqlalchemy import make_url

from .copies import Copies, MariaDbCopies, SqliteCopies
from .test_lost_commits import MARIADB, PREPAID, SQLITE_URL, database_of, expect_mended, pay, talk


@pytest.fixture(params=["sqlite", MARIADB])
def copies(request, tmp_path) -> Copies:
    """The database of a switch in ``tmp_path``."""
    if request.param == "sqlite":
        return SqliteCopies(tmp_path)
    return MariaDbCopies(request.getfixturevalue("mariadb_url"))


def lose(copies):
    """Take the database away: its file, or all its tables."""
    if isinstance(copies, SqliteCopies):
        for file in copies.file.parent.glob(f"{copies.file.name}*"):
            file.rename(file.with_name(f"lost-{file.name}"))
        return
    parsed = make_url(copies.url)
    name = parsed.database
    with (
        pymysql.connect(
            host="127.0.0.1", port=parsed.port, user="vosd", password="secret", autocommit=True
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"DROP DATABASE {name}")
        cursor.execute(f"CREATE DATABASE {name}")


def knows_the_balance(tmp_path):
    """Return whether the copy of balances in ``state_dir`` has that of the customer."""
    with closing(sqlite3.connect(tmp_path / "var/last-known.db")) as copy:
        return copy.execute("SELECT COUNT(*) FROM account WHERE seq > 0").fetchone()[0] == 1


def alarms(scene, *words):
    found = scene.daemon.ask("alarms", *words)
    return [each for each in found if each["alarm"] == "payments_lost"]


def test_a_lost_database_is_missed_and_its_payments_are_an_alarm_until_a_person_confirms_it(stage, copies, tmp_path):
    # The vendor costs nothing: it has no entry, however long the machine lets the call last.
    scene = stage(configuration=PREPAID.replace(SQLITE_URL, copies.url).replace('"0.30"', '"0"'))
    pay(scene, "100")
    talk(scene, 1)
    balance = scene.daemon.ask("account", "show", "acme")["balance"]
    eventually(lambda: knows_the_balance(tmp_path), "the copy has the balance")

    lose(copies)
    eventually(lambda: database_of(scene)["state"] == "away", "the loss is noticed")
    eventually(lambda: "is gone. Put it back" in str(scene.events("database_away")), scene.daemon.log)
    assert "run vosd migrate" not in str(scene.daemon.log())
    listed = scene.daemon.verb("cdr", "list")
    assert (listed.code, "vosd restore FILE" in listed.stderr) == (1, True)

    refused = scene.daemon.verb("migrate")
    assert refused.code == 1
    assert f"its last balances are {balance} USD (accounts: 1)" in " ".join(refused.stderr.split())
    assert database_of(scene)["state"] == "away"
    scene.daemon.succeed("migrate", "--anew")

    expect_mended(scene, 1)
    (alarm,) = eventually(lambda: alarms(scene), "the alarm")
    assert (alarm["level"], "accounts: 1, less: 100.00 USD" in alarm["text"]) == ("critical", True)
    assert scene.daemon.interrupt() == 0
    scene.daemon.start()
    assert alarms(scene) == [alarm]
    words = ("--confirm", "payments_lost", "--subject", alarm["subject"], "--note", "booked again")
    scene.daemon.succeed("alarms", *words)
    assert alarms(scene) == []
    (over,) = alarms(scene, "--history")
    assert (over["note"], over["cleared_at"] is not None) == ("booked again", True)
