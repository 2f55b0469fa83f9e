"""The database that a switch has worked on, as its state directory knows it while that database is gone.

Refuses to know the database itself.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from vosd.cdr.ports import LastStanding
from vosd.engine.booking.comparison import shown_sums
from vosd.engine.booking.database_watch import MEMO, Memo, kind_of
from vosd.engine.kept_file import KeptFile


def was_used(state_dir: Path, url: str) -> bool:
    """Return whether a switch has worked on a database of calls or money that may be the one of ``url``."""
    kind = used_kind(state_dir)
    return kind is not None and kind in ("", kind_of(url))


def used_kind(state_dir: Path) -> str | None:
    """Return the kind of the database of calls or money that a switch has worked on; None = it has worked on none.

    It is empty where it is not known: an earlier version wrote the memo, or it cannot be read.
    """
    try:
        memo = KeptFile(state_dir / MEMO, Memo, "database_memo").load()
    except NotADirectoryError:  # no switch has worked in a file
        return None
    except (OSError, msgspec.DecodeError):
        return ""
    return memo.kind if memo is not None and (memo.state.commits > 0 or memo.regressed is not None) else None


class KnownBalances(NamedTuple):
    """Balances of before, added up by currency."""

    accounts: int
    """Accounts whose balance is not zero."""
    sums: str
    """Such as ``10.00 EUR, -3.50 USD``."""


def known_balances(standings: Iterable[LastStanding]) -> KnownBalances:
    """Add up the balances that a switch has known last."""
    amounts = [(each.currency or "", each.balance) for each in standings if each.balance]
    return KnownBalances(len(amounts), shown_sums(amounts))
