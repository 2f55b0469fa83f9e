"""Errors of the drivers as errors of the switch, each with what the operator does about it.

Knows the numbers of MySQL and MariaDB, and the messages of SQLite; opens no connection.
"""

import os
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from sqlalchemy import exc
from sqlalchemy.engine import Dialect

from vosd.base.errors import VosError
from vosd.cdr.ports import Collided, RowsLocked, StoreDamaged, StoreUnavailable
from vosd.storage.types import Unstorable

CONNECT_S: Final = 5
"""Longest time until a server has taken a connection."""
_NO_SUCH_TABLE_OR_COLUMN: Final = frozenset({1054, 1146})
_NO_SUCH_IN_SQLITE: Final = re.compile("no such (table|column)|has no column named|^NOT NULL constraint failed")
_FIRST_TABLES: Final = "alembic_version|counter|account|ledger_entry|cdr|identity|lease"
_LACKS_FIRST_TABLE: Final = re.compile(
    rf"no such table: (main\.)?({_FIRST_TABLES})$|Table '[^']*\.({_FIRST_TABLES})' doesn't exist"
)
"""Messages about a table that every database of vosd has: without it this is none, whatever the version."""
_TOO_LARGE_OR_UNFIT: Final = frozenset({1153, 1264, 1292})
_UNLIKE_OURS: Final = frozenset({1048, 1136, 1265, 1364, 1366, 1406})
"""Errors of a column that is missing, too narrow, or of another type or character set than this version's."""
_KEY: Final = re.compile(r"for key '(?:[^']*\.)?(\w+)'\Z")
"""Name of the key at the end of a MySQL server's message about a duplicate."""
COUNTER_BEHIND: Final = (
    "the counter of commits is behind cdr.export_seq: UPDATE counter SET value ="
    " (SELECT MAX(export_seq) FROM cdr) WHERE name = 'commits'"
)
"""Advice to the operator about numbers of commits that calls have already."""
_DAMAGED_KEYS: Final = {
    "cdr_export": COUNTER_BEHIND,
    "ledger_entry_chain": (
        "an account's seq is behind its ledger entries: vosd ledger verify names it; set account.seq and"
        " account.balance to those of its latest entry"
    ),
}
"""Keys of numbers that the database generates, and what the operator does when such a number is taken."""
_DAMAGED_COLUMNS: Final = {
    "cdr.export_seq": "cdr_export",
    "ledger_entry.account, ledger_entry.seq": "ledger_entry_chain",
}
"""Names that SQLite has for these keys."""
_USER_LOCKED: Final = 3118, 4151
_PASSWORD_EXPIRED: Final = 1820, 1862
_WANTS_TLS: Final = 3159
_REFUSED: Final = frozenset({1044, 1045, 1698})
"""Errors about user, password or the right to the database: a start is refused. Those of users that are locked come and
go by themselves, and are an outage."""
_NO_CONNECTION: Final = 2003
_NOT_VALID_NOW: Final = frozenset({9, 10})
"""OpenSSL's numbers for certificates that are not valid yet, or not any more."""
_UNKNOWN_DATABASE: Final = 1049
_TAKES_NO_CHANGES: Final = frozenset({1036, 1047, 1792, 1836, 1874})
"""Errors of a server, or a node of a cluster, that is not the primary. No transaction of ours is READ ONLY (1792)."""
_NOT_COMMITTED: Final = 1180
_OUTSIDE: Final = "Primary Component"
"""Part of what a node of Galera says at a commit while it leaves the primary part of its cluster."""
_FORBIDDEN_BY_OPTION: Final = 1290
_READ_ONLY_OPTION: Final = re.compile("--(super-)?read[-_]only")
SERVER_GONE: Final = 2006
_OTHER_HOSTGROUP: Final = 9006
_STATEMENT_ENDED: Final = (1969, 3024)
"""By MariaDB, and by MySQL."""
_LOCK_WAIT_ENDED: Final = 1205
_LOCKED_FILE: Final = "database is locked"
"""Words of SQLite about the lock that a writer has on all rows."""
_UNDONE: Final = 1213
"""A deadlock; in a Galera cluster also a commit that another node's commit came before."""


class DatabaseRefusesUs(StoreUnavailable):
    """The database refuses the connection until the operator changes the user, the password or the directory."""


class StatementTooLong(StoreUnavailable):
    """The database has ended a statement that took longer than one of this process may; it has changed nothing."""

    remedy = "ask for less: a shorter span by `since` and `until`, one account or gateway"


class SchemaOutdated(StoreDamaged):
    """The tables are not those of this version; the message names the command that updates them."""


class DatabaseGone(SchemaOutdated):
    """The file of the database is missing, or the tables that every database of vosd has."""


class UnsupportedDatabase(VosError):  # noqa: N818 - describes the URL
    """The URL names a database or driver that vosd does not use."""


class ContentRefused(VosError):  # noqa: N818 - the database's verdict on a value
    """The database will never take this content, however often it is tried."""


class BalanceTooLarge(ContentRefused):
    """An account would have more money, or owe more, than a column holds."""


class AlreadyThere(ContentRefused):
    """A unique key exists already."""


class DriverErrors:
    """Meaning of the drivers' errors at one database."""

    def __init__(self, place: Callable[[], str], was_used: Callable[[], bool], statement_s: float | None) -> None:
        """``place`` returns the URL as it may be shown; for the others see ``Database``."""
        self._place = place
        self._was_used = was_used
        self._statement_s = statement_s

    def outdated(self, fault: str) -> str:
        """Return the message about tables that are not those of this version."""
        return f"{self._place()} {fault}: run vosd migrate"

    def gone(self, fault: str) -> DatabaseGone:
        """Return the error about a database that is missing; after a switch has worked on it nothing makes it anew."""
        if self._was_used():
            return DatabaseGone(
                f"{self._place()} {fault}: this switch has worked on a database that is gone. Put it back, or vosd"
                " restore FILE; vosd migrate --anew makes one without any balance or call"
            )
        return DatabaseGone(self.outdated(fault))

    @contextmanager
    def translated(self, dialect: Dialect, patience_s: float) -> Iterator[None]:
        """Raise our errors in place of those of a driver; ``patience_s`` is the limit whose end is a TimeoutError."""
        try:
            yield
        except exc.DBAPIError as error:
            raise self._meaning(error) from error.orig
        except dialect.loaded_dbapi.Error as error:  # met outside of a statement: SQLAlchemy passes it on
            raise self._meaning(exc.OperationalError("", None, error)) from error
        except exc.StatementError as error:  # the column's type refused the value before the driver got it
            if not isinstance(error.orig, Unstorable):
                raise
            raise ContentRefused(str(error.orig)) from error.orig
        except TimeoutError as error:
            message = f"{self._place()} did not answer within {patience_s:g} s: see what it is busy with"
            raise StoreUnavailable(message) from error
        except (exc.TimeoutError, OSError) as error:
            if dialect.name == "sqlite" and isinstance(error, PermissionError):
                message = f"{self._place()} may not be opened by this user: run this as the user of the switch"
                raise DatabaseRefusesUs(message) from error
            raise StoreUnavailable(self._unreached(error)) from error
        except (OverflowError, Unstorable) as error:
            raise ContentRefused(str(error)) from error

    def _meaning(self, error: exc.DBAPIError) -> VosError:
        cause = error.orig
        code = cause.args[0] if cause is not None and cause.args else None
        if code == _UNKNOWN_DATABASE or code in _NO_SUCH_TABLE_OR_COLUMN or _NO_SUCH_IN_SQLITE.search(str(cause)):
            return self._meaning_of_lack(code, cause)
        if code in _UNLIKE_OURS:
            return SchemaOutdated(self.outdated(f"has a column that is not this version's ({cause})"))
        if isinstance(error, exc.IntegrityError):
            return self._meaning_of_duplicate(str(cause.args[-1]) if cause is not None else "")
        if isinstance(error, exc.DataError) or code in _TOO_LARGE_OR_UNFIT:
            return ContentRefused(str(cause))
        if code in _STATEMENT_ENDED:
            longest = "its own limit" if self._statement_s is None else f"{self._statement_s:g} s"
            return StatementTooLong(
                f"{self._place()} was busy with one statement for longer than {longest}: ask for less"
            )
        if code == _NO_CONNECTION and cause is not None and cause.__cause__ is not None:
            return self._meaning_of_no_connection(cause.__cause__)
        is_refused = code in _REFUSED or "unable to open" in str(cause)
        kind = DatabaseRefusesUs if is_refused else _KINDS.get(code, StoreUnavailable)
        return kind(f"{self._place()} does not do its work ({cause}): {_advice(code, str(cause))}")

    def _meaning_of_no_connection(self, reason: BaseException) -> VosError:
        """Return the error where no connection could be made, of which the driver itself says no more than that."""
        if not isinstance(reason, ssl.SSLError):
            return StoreUnavailable(self._unreached(reason))
        fault = f"{self._place()} does not do its work ({reason})"
        if isinstance(reason, ssl.SSLCertVerificationError) and reason.verify_code in _NOT_VALID_NOW:
            # An outage, and nothing that the configuration could mend: a start goes on without the database.
            return StoreUnavailable(f"{fault}: renew the server's certificate, or set the clock of this machine")
        return DatabaseRefusesUs(
            f"{fault}: check ssl_ca (and ssl_cert) of database.url, and whether the server's certificate names its host"
        )

    def _unreached(self, reason: BaseException) -> str:
        why: object = reason
        advice = "is the server running and the address right?"
        if isinstance(reason, TimeoutError | socket.gaierror):
            why = f"no answer within {CONNECT_S} s" if isinstance(reason, TimeoutError) else reason.strerror
            advice = "is the server running and the address right, and do the name servers answer?"
        elif isinstance(reason, OSError) and reason.errno:
            why = os.strerror(reason.errno)  # the event loop says only that the call has failed
        return f"cannot reach {self._place()} ({why}): {advice}"

    def _meaning_of_lack(self, code: object, cause: BaseException | None) -> VosError:
        """Return the error where the database, a table or a column is not there."""
        if code == _UNKNOWN_DATABASE:
            advice = "make the database, then run vosd migrate"
            if self._was_used():
                advice = "this switch has worked on it. Put it back, or make an empty database and vosd restore FILE"
            return StoreDamaged(f"{self._place()} does not exist ({cause}): {advice}")
        fault = f"lacks a table or column ({cause})"
        if cause is not None and cause.args and _LACKS_FIRST_TABLE.search(str(cause.args[-1])):
            return self.gone(fault)
        return SchemaOutdated(self.outdated(fault))

    def _meaning_of_duplicate(self, message: str) -> VosError:
        mending = _own_number(message)
        if mending is None:
            return AlreadyThere(message)
        return StoreDamaged(f"{self._place()} has given a number away twice ({message}): {mending}")


def _own_number(message: str) -> str | None:
    """Return the advice about a generated number that is taken; None if the duplicate is in the content."""
    named = _KEY.search(message)
    in_sqlite = message.removeprefix("UNIQUE constraint failed: ")
    return _DAMAGED_KEYS.get(named[1] if named else _DAMAGED_COLUMNS.get(in_sqlite, ""))


_KINDS: Final[Mapping[object, type[StoreUnavailable]]] = {
    _LOCK_WAIT_ENDED: RowsLocked,
    _LOCKED_FILE: RowsLocked,
    _UNDONE: Collided,
}
_AGAIN: Final = "the switch tries again by itself, an order must be given again"
_ADVICE: Final = {
    **dict.fromkeys((1053, 2003, SERVER_GONE, 2013), "is the server running and the address right?"),
    **dict.fromkeys((1317, 1927), f"a person or a program has ended it by KILL; {_AGAIN}"),
    1412: f"a table was changed meanwhile, as by vosd migrate; {_AGAIN}",
    1044: "the database is not there, or its user has no right to it: docs/database-rights.md lists the rights",
    **dict.fromkeys(
        (1045, 1698),
        "check the user and password of database.url; % in them is written %25. A server refuses so, too, where it"
        " wants TLS: ssl_ca, and ssl_cert where it wants a certificate of ours",
    ),
    **dict.fromkeys((1142, 1143), "its user lacks a right: docs/database-rights.md lists those that it needs"),
    **dict.fromkeys(_USER_LOCKED, "the user of database.url is locked: ALTER USER ... ACCOUNT UNLOCK"),
    **dict.fromkeys(
        _PASSWORD_EXPIRED, "the password of the user of database.url has expired: ALTER USER ... IDENTIFIED BY"
    ),
    _WANTS_TLS: "the server asks for TLS: database.url needs ssl_ca",
    1226: "raise the limits that the server sets the user of database.url (max_user_connections and the like)",
    1040: "raise the server's max_connections",
    _OTHER_HOSTGROUP: "a rule of ProxySQL sends what is read to other servers: have none for the user of database.url",
    1665: "set the server's binlog_format to MIXED or ROW: with STATEMENT it refuses READ COMMITTED",
    _LOCK_WAIT_ENDED: f"another transaction holds locks, of another program or of orders before this one; {_AGAIN}",
    _UNDONE: f"another transaction, or one at another node of a cluster, came first; {_AGAIN}",
}
"""Advice to the operator, by MySQL's error number."""


def _advice(code: object, text: str) -> str:
    """Return what the operator should check, by MySQL's error number or SQLite's message."""
    if code in _ADVICE:
        return _ADVICE[code]
    if takes_no_changes(code, text):
        return "this server takes no changes: make it the primary, or have database.url lead to the one that is"
    if not isinstance(code, str):  # of a server: SQLite has no numbers
        return "see the server's log, its disk space and rights"
    if "locked" in text:
        return f"another transaction holds the write lock, of another program or of orders before this one; {_AGAIN}"
    if "unable to open" in text:
        own = "does the directory exist, and is this the user of the switch, who may write there?"
        return f"{own} A service needs ReadWritePaths= for it (systemctl edit vosd)"
    if "not a database" in text or "malformed" in text:
        return "the file is damaged: put a backup back (vosd restore FILE)"
    return "is its disk full (df, df -i), and may this user write in its directory?"


def takes_no_changes(code: object, text: str) -> bool:
    """Return whether a MySQL server refuses a statement because it is not the primary."""
    if code == _FORBIDDEN_BY_OPTION:
        return _READ_ONLY_OPTION.search(text) is not None
    return code in _TAKES_NO_CHANGES or (code == _NOT_COMMITTED and _OUTSIDE in text)
