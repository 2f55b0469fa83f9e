"""Guard of a new database: none is made in the place of one that is gone, and whose money the switch still knows."""

from pathlib import Path
from typing import NamedTuple

from vosd.base.errors import VosError
from vosd.catalogue.problems import ConfigError
from vosd.cdr.ports import StoreUnavailable
from vosd.config.excerpt import Excerpt
from vosd.config.places import Installation, may_be_one_database
from vosd.engine.booking.database_watch import kind_of
from vosd.engine.booking.known_database import KnownBalances, known_balances, used_kind
from vosd.storage.database import COMMAND_PATIENCE_S, Database
from vosd.storage.driver_errors import DatabaseGone
from vosd.storage.last_known import LAST_KNOWN, LastKnown


class DatabaseMissedError(VosError):
    """The database is gone, and a switch has worked on it: the operator has to say that an empty one is wanted."""

    def __init__(self, place: str, state_dir: Path, known: KnownBalances | None, other: str) -> None:
        """``known`` is None where the last balances cannot be read.

        ``other`` is the kind of the database that the switch has worked on where that is another one.
        """
        balances = "" if known is None else f"; its last balances are {known.sums or '0'} (accounts: {known.accounts})"
        if other:
            message = (
                f"{place} is new, and the switch of {state_dir} has worked on another database, of {other}{balances}."
                " No command moves that one into this one, and vosd restore does not: name it in database.url again."
                " vosd migrate --anew begins with an empty one: all balances begin at 0; payments, definitions,"
                " decks, and calls that are no longer in the journal are left behind"
            )
        else:
            message = (
                f"{place} is gone or empty, and the switch of {state_dir} has worked on it{balances}. Put it back, or"
                " vosd restore FILE. vosd migrate --anew makes an empty one: all balances begin at 0; payments,"
                " definitions, decks, and calls that are no longer in the journal are gone"
            )
        super().__init__(message)


class DatabaseBeside(NamedTuple):
    """A database that a configuration names which leads to the switch of another configuration."""

    url: str
    """As the file has it: a path is relative to the working directory."""
    state_dir: Path | None
    """The state directory of the other switch, where the database may be its own; None = it is another one."""


def database_beside(config: Path, other: Installation) -> DatabaseBeside:
    """Return the database of a configuration beside the switch of another one: a new one, or that of the switch.

    The owner of the tables has such a configuration (docs/database-rights.md). Where the file of the other switch
    cannot be read, as without its variables of the environment, the database may be that of the switch.

    Raises:
        ConfigError: ``config`` is invalid.
    """
    excerpt = Excerpt(config)
    url, directory = excerpt.database_url, Path(other.directory)
    try:
        is_of_other = may_be_one_database(url, Excerpt(Path(other.configuration)).database_url, directory)
    except ConfigError:
        is_of_other = True
    return DatabaseBeside(url, directory / excerpt.state_dir if is_of_other else None)


async def check_nothing_is_missed(url: str, state_dir: Path) -> None:
    """Make sure that the database is there, or that none was used before that had entries of money.

    Raises:
        DatabaseMissedError: a new one would begin without money that customers have.
    """
    kind = used_kind(state_dir)
    if kind is None:
        return
    database = Database(url, patience_s=COMMAND_PATIENCE_S)
    try:
        if database.file is None or database.file.exists():
            await database.check_schema()
            return
    except DatabaseGone:
        pass
    except (StoreUnavailable, PermissionError):  # the migration says why
        return
    finally:
        await database.close()
    await _miss(database.place, state_dir, "" if kind == kind_of(url) else kind)


async def _miss(place: str, state_dir: Path, other: str) -> None:
    copy = LastKnown(state_dir / LAST_KNOWN, "")
    try:
        standings = await copy.standings()
    except StoreUnavailable:
        raise DatabaseMissedError(place, state_dir, None, other) from None
    finally:
        await copy.close()
    if any(each.seq for each in standings):
        raise DatabaseMissedError(place, state_dir, known_balances(standings), other)
