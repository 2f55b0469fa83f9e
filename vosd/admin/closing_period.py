"""Close a period of the ledger, once it is verified."""

from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc
from vosd.storage.checkpoints import SqlCheckpoints
from vosd.storage.database import Database
from vosd.storage.faults import Difference
from vosd.storage.verify import verify_ledger


class BooksUnsoundError(VosError):
    """The ledger has differences, which a close would hide."""


async def close_period(
    database: Database, until: int, *, operator: str, memo: str | None, now: int, force: bool
) -> dict[str, object]:
    """Make a checkpoint of every account at a date; return what was done as a JSON object.

    Times are UTC milliseconds. After a failure the same command completes it.

    Raises:
        BadClosingDate: the date is in the future, or a later one is closed.
        BooksUnsoundError: an audit finds differences, and ``force`` is not given.
        StoreUnavailable: some checkpoints may be made; try the same again.
    """
    checkpoints = SqlCheckpoints(database)
    await checkpoints.check_date(until, now)
    if not force:
        found = _First()
        await verify_ledger(database, found.add)
        if found.first is not None:
            message = f"{found.count} differences, the first is: {found.first}; vosd ledger verify names all"
            raise BooksUnsoundError(message)
    closing = await checkpoints.close(until, operator, memo, now)
    return {**closing._asdict(), "closed_until": iso_utc(closing.closed_until)}


class _First:
    """Counts differences and keeps the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first: Difference | None = None

    def add(self, difference: Difference) -> None:
        self.count += 1
        self.first = self.first or difference
