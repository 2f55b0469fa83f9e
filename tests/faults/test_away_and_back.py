"""What the log says of a database that goes away and comes back, and of a vendor that answers no BYE."""

import pytest
from e2e.conditions import eventually

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
