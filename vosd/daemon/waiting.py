"""Wait for a database that starts after the switch, as after a power failure.

Does not wait where time does not help: another schema, a rejected user, a missing database.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from vosd.cdr.ports import StoreDamaged, StoreUnavailable
from vosd.daemon.systemd import Notifier
from vosd.obs.events import Event
from vosd.obs.outage import Outage
from vosd.storage.database import PATIENCE_S, DatabaseRefusesUs

RETRY_S: Final = 2.0
"""Interval of attempts."""


class StillAway(StoreUnavailable):
    """The database has not answered for as long as a start waits for it."""


async def until_database_answers(
    check: Callable[[], Awaitable[None]],
    notifier: Notifier,
    retry_s: float = RETRY_S,
    *,
    at_most_s: float | None = None,
) -> None:
    """Return once ``check`` succeeds; repeat it while the database cannot be reached, and report that.

    Raises:
        StillAway: it was not reached within ``at_most_s``; None = there is no such limit.
        DatabaseRefusesUs: the user, the password or the directory is wrong.
        StoreDamaged: there is no such database, or (``SchemaOutdated``) it has another schema.
    """
    outage = Outage(Event.DATABASE_AWAY, part="start")
    began = asyncio.get_running_loop().time()
    while True:
        try:
            await check()
        except (DatabaseRefusesUs, StoreDamaged):
            raise
        except StoreUnavailable as error:
            if at_most_s is not None and asyncio.get_running_loop().time() - began >= at_most_s:
                raise StillAway(str(error)) from error
            outage.found(error, means="no call is taken until it answers")
            notifier.waiting(f"waiting for the database: {error}", retry_s + 2 * PATIENCE_S)
        else:
            outage.over()
            return
        await asyncio.sleep(retry_s)
