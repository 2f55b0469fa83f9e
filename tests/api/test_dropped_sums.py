"""Reports over HTTP of a time whose sums were dropped: refused with the date, and what to ask instead."""

import asyncio
from pathlib import Path

import pytest
from api.conftest import installed
from doubles.api import ADMINISTRATOR, AGENT, Api

from vosd.cdr.retention import DropPlan, RecordKind
from vosd.storage.database import Database
from vosd.storage.retention import SqlRetention

EDGE = "2026-09-02T00:00:00.000Z"
EDGE_MS = 1_788_307_200_000


async def drop(url: str) -> None:
    async with Database(url) as database:
        await SqlRetention(database).begin(DropPlan(RecordKind.SUMS, EDGE_MS, EDGE_MS, ()))


@pytest.mark.parametrize("who", [ADMINISTRATOR, f"{AGENT}reseller"])
def test_a_report_of_dropped_sums_is_refused_with_what_to_ask_instead(tmp_path: Path, who: str) -> None:
    with Api(installed(tmp_path)) as api:
        report = "/reports/revenue?until=2026-09-04T00:00:00Z&since="
        assert api.ask("GET", f"{report}2026-09-01T00:00:00Z", token=who).status == 200
        asyncio.run(drop(f"sqlite+aiosqlite:///{tmp_path}/vosd.db"))
        refused = api.ask("GET", f"{report}2026-09-01T00:00:00Z", token=who)
        assert (refused.status, refused.json["code"]) == (422, "dropped_sums")
        said = f"sums for reports from before {EDGE} were dropped, because their time was over"
        assert (refused.json["detail"], refused.json["remedy"]) == (said, "ask for a time from then on")
        assert api.ask("GET", f"{report}2026-09-02T00:00:00Z", token=who).status == 200
