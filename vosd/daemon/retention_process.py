"""Process that drops old records for a switch: ``vosd.processes.entry vosd.daemon.retention_process CHANNEL`` (ADR 73).

Its answer is what was done.
"""

import time
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.retention import Retention, RetentionRun
from vosd.base.errors import VosError
from vosd.daemon.daily import carry_out
from vosd.engine.settings import RetentionSettings
from vosd.storage.database import Database
from vosd.storage.database_clock import check_has_come

OPERATOR: Final = "the switch"
"""Stands in the history of what was dropped."""


class RetentionOrder(msgspec.Struct, frozen=True):
    """Terms of a run: ages of records to drop, and the database."""

    url: str
    state_dir: str
    now: int
    """UTC milliseconds: the clock may be set while the process works."""
    settings: RetentionSettings
    """Without the time of the run and its zone."""


class RetentionOutcome(msgspec.Struct, frozen=True):
    """Result of a run; None with the reason where the run has failed."""

    run: RetentionRun | None
    error: str = ""


def main() -> None:
    """Do what the switch orders."""
    carry_out(RetentionOrder, _outcome)


async def _outcome(order: RetentionOrder) -> RetentionOutcome:
    try:
        async with Database(order.url, was_used=lambda: True) as database:
            await database.check_schema()
            await check_has_come(database, order.now)
            begun = time.monotonic()
            retention = Retention(
                database,
                order.settings,
                Path(order.state_dir),
                OPERATOR,
                lambda: order.now + round(1_000 * (time.monotonic() - begun)),
            )
            return RetentionOutcome(await retention.run())
    except (VosError, OSError) as error:
        return RetentionOutcome(None, str(error))
    except Exception as error:  # noqa: BLE001  the boundary: the switch, which logs it, would see a dead process only
        return RetentionOutcome(None, repr(error))
