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
from vosd.storage.database import PATIENCE_S
from vosd.storage.driver_errors import DatabaseRefusesUs

RETRY_S: Final = 2.0
"""Interval of attempts."""
LEAST_ATTEMPT_S: Final = 2.0
"""Time that an attempt has, however little is left: a start that does not wait at all makes one."""


class StillAway(StoreUnavailable):
    """The database has not answered for as long as a start waits for it."""


async def until_database_answers(
    check: Callable[[], Awaitable[None]],
    notifier: Notifier,
    retry_s: float = RETRY_S,
    *,
    deadline: float | None = None,
    reads_much: bool = False,
    obstacle: str | None = None,
) -> None:
    """Return once ``check`` succeeds; repeat it while the database cannot be reached, and report that.

    Args:
        check: what is tried.
        notifier: has the service manager wait as well.
        retry_s: pause between two attempts.
        deadline: time of the event loop after which no other attempt is made; None = there is no such limit. It also
            ends an attempt that a database leaves without an answer.
        reads_much: an attempt that has begun may go on beyond the deadline, because it is long where all is well.
        obstacle: why the start does not go on without the database, for the log; None = there is no reason.

    Raises:
        StillAway: the attempts failed until the deadline.
        DatabaseRefusesUs: the user, the password or the directory is wrong.
        StoreDamaged: there is no such database, or (``SchemaOutdated``) it has another schema.
    """
    outage, now = Outage(Event.DATABASE_AWAY, part="start"), asyncio.get_running_loop().time
    while True:
        left_s = None if deadline is None else max(deadline - now(), LEAST_ATTEMPT_S)
        try:
            await _attempt(check, None if reads_much else left_s)
        except (DatabaseRefusesUs, StoreDamaged):
            raise
        except StoreUnavailable as error:
            if deadline is not None and now() >= deadline:
                raise StillAway(str(error)) from error
            facts = {} if obstacle is None else {"waits_because": obstacle}
            outage.found(error, means="no call is taken until it answers", **facts)
            notifier.waiting(f"waiting for the database: {error}", retry_s + 2 * PATIENCE_S)
        else:
            outage.over()
            return
        await asyncio.sleep(retry_s if deadline is None else min(retry_s, max(deadline - now(), 0)))


async def _attempt(check: Callable[[], Awaitable[None]], within_s: float | None) -> None:
    try:
        async with asyncio.timeout(within_s):
            await check()
    except TimeoutError as error:
        raise StoreUnavailable(f"the database did not answer within {within_s:.0f} s") from error
