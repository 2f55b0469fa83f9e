"""Waiting for a database that comes up after the switch, as after a power cut.

Refuses to wait for what time does not mend: another schema, a refused user, a database that does not exist.
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
"""From one attempt to the next."""


async def until_database_answers(
    check: Callable[[], Awaitable[None]], notifier: Notifier, retry_s: float = RETRY_S
) -> None:
    """Return once ``check`` succeeds; try again while the database is away, without end, and say so.

    Raises:
        DatabaseRefusesUs: the user, the password or the directory is wrong.
        StoreDamaged: there is no such database, or (``SchemaOutdated``) it has another schema.
    """
    outage = Outage(Event.DATABASE_AWAY, part="start")
    while True:
        try:
            await check()
        except (DatabaseRefusesUs, StoreDamaged):
            raise
        except StoreUnavailable as error:
            outage.found(error, means="no call is taken until it answers")
            notifier.waiting(f"waiting for the database: {error}", retry_s + 2 * PATIENCE_S)
        else:
            outage.over()
            return
        await asyncio.sleep(retry_s)
