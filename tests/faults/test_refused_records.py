"""A record that the database refuses: kept through restarts, counted, mended and booked without one."""

import json
import time

from e2e.conditions import eventually

LEAST = "-92233720368.547"
"""So little money that SQLite cannot hold the charge of one more call."""


def test_a_refused_record_survives_stops_and_kills_and_is_booked_without_a_restart(stage):
    scene = stage()
    daemon = scene.daemon
    daemon.succeed("payment", "add", "--account", "carrier", "--type", "adjustment", "--amount", LEAST)
    scene.answered(3)
    begun = time.monotonic()
    eventually(lambda: time.monotonic() - begun > 0.1, "a second is charged from 50 ms on")
    for call in scene.customer.answered:
        scene.customer.hang_up(call)
    listed = eventually(lambda: len(found := daemon.ask("spool", "list")) == 3 and found, "three refused records")
    assert {each["vendor_account"] for each in listed} == {"carrier"}
    eventually(lambda: len(scene.events("record_quarantined")) == 3, "each of them logged, once it is kept")
    assert daemon.ask("status")["spool_rows"] == 3
    verified = daemon.verb("ledger", "verify")
    assert verified.code == 1
    assert all(each["call_id"] in verified.stdout for each in listed)
    owed = daemon.ask("account", "show", "acme")["available"]

    assert daemon.interrupt() == 0
    assert len(daemon.ask("spool", "list")) == 3
    daemon.start()
    daemon.kill()
    daemon.start()
    assert daemon.ask("status")["spool_rows"] == 3
    assert daemon.ask("account", "show", "acme")["available"] == owed, "what the calls cost stays owed"
    assert json.loads(daemon.verb("spool", "retry", "--json").stdout)["booked"] == []

    daemon.succeed("payment", "add", "--account", "carrier", "--type", "adjustment", "--amount", LEAST.lstrip("-"))
    assert sorted(daemon.ask("spool", "retry")["booked"]) == sorted(each["call_id"] for each in listed)
    assert daemon.ask("spool", "list") == []
    assert daemon.ask("status")["spool_rows"] == 0
    assert len(scene.records()) == 3
    assert daemon.ask("account", "show", "acme")["available"] == owed
    daemon.succeed("ledger", "verify")
