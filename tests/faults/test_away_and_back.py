"""What the log says of a database that goes away and comes back, and of a vendor that answers no BYE."""

import json
from collections.abc import Iterator

import pytest
from doubles.api import Api
from doubles.mysql import server_with_rights
from doubles.process.mariadb import MariaDb
from e2e.conditions import eventually

from vosd.admin.office.tokens import principal_of

from .conftest import CONFIGURATION

SQLITE_URL = "sqlite+aiosqlite:///$directory/vosd.db"


def parts(scene, name):
    return {line["part"] for line in scene.events(name)}


@pytest.mark.mariadb
def test_every_part_that_missed_the_database_says_once_that_it_is_back(stage, server):
    scene = stage(configuration=CONFIGURATION.replace(SQLITE_URL, server.create_database("vosd")))
    scene.answered(3)

    server.stop()
    for call in scene.customer.answered:
        scene.customer.hang_up(call)
    eventually(lambda: parts(scene, "database_away") >= {"booking", "balances"}, "the database missed")
    assert scene.events("database_back") == []
    server.start()

    eventually(lambda: parts(scene, "database_back") == parts(scene, "database_away"), "all of it back")
    eventually(lambda: len(scene.records()) == 3, "every call booked")
    away = [(line["part"], line["error"]) for line in scene.events("database_away")]
    assert len(away) == len(set(away)), "a reason is told once"
    assert len(scene.events("database_back")) == len(parts(scene, "database_away"))


@pytest.mark.mariadb
def test_the_api_answers_what_the_switch_knows_while_the_database_is_away(stage, server):
    scene = stage(configuration=CONFIGURATION.replace(SQLITE_URL, server.create_database("api")))
    used, unused = (
        json.loads(scene.daemon.succeed("token", "add", name, "--role", "viewer", "--json")) for name in "ab"
    )
    with Api(scene.daemon.configuration_file, knows=principal_of) as api:
        assert api.ask("GET", "/status", token=used["token"]).status == 200
        server.stop()
        eventually(lambda: api.ask("GET", "/accounts", token=used["token"]).status == 503, "the database missed")
        away = api.ask("GET", "/accounts", token=used["token"])
        assert (away.json["code"], away.headers["retry-after"]) == ("store_unavailable", "5")
        assert api.ask("GET", "/status", token=used["token"]).status == 200
        assert api.ask("GET", "/calls", token=used["token"]).json["items"] == []
        assert api.ask("GET", "/status", token=unused["token"]).status == 503, (
            "the database has not known this one of late"
        )
        server.start()
        eventually(lambda: api.ask("GET", "/accounts", token=used["token"]).status == 200, "the database found again")


def test_a_vendor_that_answers_no_bye_is_named_in_the_log(stage):
    scene = stage()
    scene.answered(1)
    scene.vendor.answers_byes = False
    scene.customer.hang_up(scene.customer.answered[0])

    (warning,) = eventually(lambda: scene.events("bye_unanswered"), "the silent vendor named")

    assert warning["gateways"] == ["carrier"]
    of_call = ("cdr", "list", "--sip-call-id", warning["sip_call_id"])
    (record,) = eventually(lambda: scene.daemon.ask(*of_call), "the call booked")
    assert record["routing_gateway"] == "carrier"


@pytest.fixture
def guarded(tmp_path_factory) -> Iterator[MariaDb]:
    """A server that asks for the password."""
    server = server_with_rights(tmp_path_factory.mktemp("guarded"))
    server.start()
    yield server
    server.stop()


@pytest.mark.mariadb
def test_a_password_that_was_changed_is_taken_by_a_reload(stage, guarded):
    url = guarded.create_database("vosd")
    with guarded.connection() as admin, admin.cursor() as cursor:
        cursor.execute("FLUSH PRIVILEGES")
        for user, password in (("vosd", "secret"), ("switch", "old")):
            cursor.execute(f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'")
            cursor.execute(f"GRANT ALL ON *.* TO '{user}'@'%'")
        scene = stage(configuration=CONFIGURATION.replace(SQLITE_URL, url.replace("vosd:secret@", "switch:old@")))
        scene.answered(2)

        file = scene.daemon.configuration_file
        written = file.read_text()
        file.write_text(written.replace("switch:old@", "switch:mistyped@"))
        refused = scene.daemon.verb("reload")
        assert refused.code == 3
        assert "database.url: expected a user and password that the database takes: " in refused.stderr
        file.write_text(written)

        cursor.execute("SET PASSWORD FOR 'switch'@'%' = PASSWORD('new')")
        cursor.execute("KILL USER 'switch'@'%'")
        for call in scene.customer.answered:
            scene.customer.hang_up(call)
        eventually(
            lambda: any("Access denied" in each["error"] for each in scene.events("database_away")),
            "the password refused, perhaps behind a statement that the server has ended",
        )

        file.write_text(written.replace("switch:old@", "switch:new@"))
        assert "restart" not in scene.daemon.succeed("reload")

    eventually(lambda: len(scene.records()) == 2, "both calls booked")
    eventually(lambda: parts(scene, "database_back") == parts(scene, "database_away"), "all of it back")
