"""Five hundred calls at up to fifty a second into MariaDB: all carried, all booked, nothing left."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.daemon import Daemon

from .addresses import LOADED_SWITCH
from .conditions import eventually
from .expectations import BUY, COLUMNS, CYCLE_S, SELL, TAX, cycles_of
from .stage import Caller, Stage, Vendor, configuration

pytestmark = [pytest.mark.sipp, pytest.mark.mariadb]

CALLS = 500
RATE = 50
AT_ONCE = 25
"""Most calls at once, which a machine without other work has as well: a busy one carries fewer in a second."""


@pytest.fixture
def loaded(tmp_path: Path, mariadb_url: str) -> Iterator[Stage]:
    """A switch on MariaDB."""
    with Daemon(tmp_path, configuration("switch.yaml", LOADED_SWITCH, mariadb_url)) as daemon:
        stage = Stage(daemon, LOADED_SWITCH)
        stage.pay("acme", "1000")
        yield stage


def test_each_of_many_calls_leaves_its_record_and_the_sums_are_exact(loaded: Stage) -> None:
    callee = loaded.number("4410")
    source = loaded.endpoint_of("acme")
    paid = loaded.balance_of("acme")
    with (
        loaded.vendor(Vendor("carrier-a", "answers"), callee, calls=CALLS, trace=False) as vendor,
        loaded.caller(
            Caller("hangs_up", {"talk_ms": "300"}),
            callee,
            source,
            calls=CALLS,
            trace=False,
            options=("-r", str(RATE), "-l", str(AT_ONCE), "-cid_str", "customer-%u-%p"),
        ) as caller,
    ):
        caller.wait()
        vendor.wait()
        assert caller.counts()["SuccessfulCall(C)"] == str(CALLS)
    loaded.expect_nothing_left()

    records = eventually(lambda: len(found := loaded.records("--limit", "1000")) >= CALLS and found, f"{CALLS} records")
    assert len({record["call_id"] for record in records}) == len(records) == CALLS
    assert len({record["export_seq"] for record in records}) == CALLS
    assert all(set(record) == COLUMNS for record in records)
    assert Counter(record["end_reason"] for record in records) == {"Normal": CALLS}
    cycles = sum(map(cycles_of, records))
    assert sum(record["billed_seconds"] for record in records) == cycles * CYCLE_S
    assert loaded.balance_of("acme") == paid - cycles * (SELL + TAX)
    assert loaded.balance_of("vendors") == -cycles * BUY
    assert sum(Decimal(record["fee"]) + Decimal(record["tax"]) for record in records) == cycles * (SELL + TAX)
    loaded.expect_books_in_order()
    loaded.expect_timers_run_out()
    assert loaded.status()["cdr_queue"] == 0
    assert loaded.status()["spool_rows"] == 0
