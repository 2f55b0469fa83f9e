"""Calls while the database is away: within the cap of the account, or refused where it says so; booked once later."""

import pytest
from e2e.conditions import eventually

from .conftest import CONFIGURATION

SQLITE_URL = "sqlite+aiosqlite:///$directory/vosd.db"
ACME = '{id: acme, type: direct, rate_group: sell, overdraft_limit: "1000"}'
CAPPED = ACME.replace("}", ', database_away_cap: "3"}')
REFUSING = ACME.replace("}", ", database_away: refuse}")


@pytest.mark.mariadb
def test_calls_go_on_as_the_account_says_and_are_booked_once(stage, server):
    scene = stage(configuration=CONFIGURATION.replace(SQLITE_URL, server.create_database("vosd")).replace(ACME, CAPPED))
    scene.answered(1)
    server.stop()
    eventually(lambda: scene.daemon.ask("status")["database"]["state"] == "away", "the outage noticed")

    for number in range(10):  # each holds 0.60 for its first minute
        scene.customer.call(f"4420{number:05d}")
    eventually(lambda: len(scene.customer.decided) == 11, "every call is decided")
    assert len(scene.customer.answered) == 1 + 5, "as many as the cap pays for"
    assert sum(402 in call.statuses for call in scene.customer.calls.values()) == 5
    (reached,) = eventually(lambda: scene.events("away_cap_reached"), "the cap reported")
    assert (reached["account"], reached["cap"]) == ("acme", "3.00")

    server.start()
    eventually(lambda: scene.daemon.ask("status")["database"]["state"] == "well", "the database back for a moment")
    server.kill()
    eventually(lambda: scene.daemon.ask("status")["database"]["state"] == "away", "the next outage noticed")
    another = scene.customer.call("4425")
    eventually(lambda: another in scene.customer.decided, "the call is decided")
    assert 402 in another.statuses, "the cap is that of both outages"

    scene.daemon.configuration_file.write_text(scene.daemon.configuration_file.read_text().replace(CAPPED, REFUSING))
    scene.daemon.succeed("reload")
    refused = scene.customer.call("4430")
    eventually(lambda: refused in scene.customer.decided, "the call is decided")
    assert 503 in refused.statuses
    assert len(scene.daemon.ask("calls")) == 6, "running calls go on"
    for call in scene.customer.answered[:4]:
        scene.customer.hang_up(call)
    eventually(lambda: scene.daemon.ask("status")["spool_rows"] >= 4, "ended calls wait")

    server.start()
    eventually(lambda: scene.daemon.ask("status")["spool_rows"] == 0, "everything booked")
    eventually(lambda: scene.daemon.ask("status")["database"]["state"] == "well", "the database back")
    scene.answered(1, first=77)
    talked = [record for record in scene.records() if record["answered_at"]]
    assert len(talked) == 4
    scene.daemon.succeed("ledger", "verify")
