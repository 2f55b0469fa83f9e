"""Audit lines of refused log-ins: bounded, and none is forgotten where the database was away."""

from typing import Any, cast

import msgspec

from vosd.admin.office.office import Office
from vosd.admin.office.sessions import AT_ONCE, EVERY_MS, RefusedLogIns
from vosd.cdr.ports import StoreUnavailable
from vosd.storage.audit_line import AuditLine

NOW = 1_790_000_000_000


class Kept:
    """An office at a moment that moves, which keeps the lines."""

    def __init__(self) -> None:
        self.at, self.is_away, self.lines = NOW, False, list[AuditLine]()
        self.stores = self.audit = self

    def now(self) -> int:
        return self.at

    async def add(self, line: AuditLine) -> None:
        if self.is_away:
            raise StoreUnavailable("away")
        self.lines.append(line)

    @property
    def left_out(self) -> list[int]:
        return [msgspec.json.decode(each.detail).get("left_out", 0) for each in self.lines]


async def refuse(refused: RefusedLogIns, office: Kept, times: int = 1) -> None:
    for _ in range(times):
        await refused.note(cast("Office", cast("Any", office)), "192.0.2.1", None, "unknown person")


async def test_a_flood_of_refused_log_ins_has_a_line_a_minute_that_says_how_many_have_none() -> None:
    office = Kept()
    refused = RefusedLogIns(office.now)
    await refuse(refused, office, 10_000)
    assert office.left_out == [0] * AT_ONCE
    office.at += EVERY_MS
    await refuse(refused, office, 1_000)
    assert office.left_out[AT_ONCE:] == [10_000 - AT_ONCE]
    office.at += 24 * 60 * EVERY_MS
    await refuse(refused, office, 1_000)
    assert office.left_out[AT_ONCE + 1 :] == [999, *[0] * (AT_ONCE - 1)]


async def test_a_line_that_could_not_be_written_is_counted_by_the_next() -> None:
    office = Kept()
    refused = RefusedLogIns(office.now)
    office.is_away = True
    await refuse(refused, office, 2)
    office.is_away = False
    await refuse(refused, office)
    assert office.left_out == [2]
