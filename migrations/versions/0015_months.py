"""Partitions by month in MySQL, of a database without calls; one with calls keeps its tables.

A call lies in the month of its id. An entry of the ledger lies in the month of the call in its reference, in p_kept if
it is of no call: the server computes ``period`` from columns that make an entry unique, so the key that has it in
addition is as strict as before (ADR 72).
"""

from datetime import UTC, datetime
from itertools import pairwise

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0019"
branch_labels = None
depends_on = None
compatible_with = "0019"

AHEAD = 6

MONTH = (
    "GREATEST(1, EXTRACT(YEAR_MONTH FROM TIMESTAMP'1970-01-01 00:00:00'"
    " + INTERVAL LEAST(CONV({digits}, 16, 10) DIV 1000, 4102444799) SECOND) - 200000)"
)
DIGITS = {
    "call": "CONCAT(LEFT(reference, 8), SUBSTR(reference, 10, 4))",
    "correction": "REPLACE(LEFT(SUBSTRING_INDEX(reference, '/', -2), 13), '-', '')",
}
ONLY_DIGITS = "CASE WHEN REGEXP_LIKE({digits}, '^[0-9A-Fa-f]+$') THEN {month} ELSE 1 END"
"""Other texts are an error in MySQL when they are converted; MariaDB takes the digits that they begin with."""


def period() -> str:
    """Return the expression of an entry's month."""
    months = {kind: MONTH.format(digits=digits) for kind, digits in DIGITS.items()}
    if not op.get_bind().dialect.is_mariadb:
        months = {kind: ONLY_DIGITS.format(digits=DIGITS[kind], month=month) for kind, month in months.items()}
    cases = " ".join(f"WHEN '{kind}' THEN {month}" for kind, month in months.items())
    return f"CASE kind {cases} ELSE 0 END"


def months() -> list[tuple[str, datetime]]:
    """Return name and end of the current month and of those ahead."""
    now = op.get_bind().scalar(sa.text("SELECT UTC_TIMESTAMP()"))
    numbers = [now.year * 12 + now.month - 1 + count for count in range(AHEAD + 2)]
    dates = [datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC) for number in numbers]
    return [(f"p{date.year}_{date.month:02}", until) for date, until in pairwise(dates)]


def by_call() -> str:
    keys = [(name, f"{int(until.timestamp()) * 1000:012x}") for name, until in months()]
    bounds = [f"PARTITION {name} VALUES LESS THAN (x'{key}')" for name, key in keys]
    return f"PARTITION BY RANGE COLUMNS (call_id) ({', '.join(bounds)}, PARTITION p_later VALUES LESS THAN (MAXVALUE))"


def by_period() -> str:
    bounds = [f"PARTITION {name} VALUES LESS THAN ({until:%y%m})" for name, until in months()]
    kept, later = "PARTITION p_kept VALUES LESS THAN (1)", "PARTITION p_later VALUES LESS THAN MAXVALUE"
    return f"PARTITION BY RANGE (period) ({kept}, {', '.join(bounds)}, {later})"


def holds_calls() -> bool:
    tables = ("cdr", "cdr_attempt", "cdr_charge", "ledger_entry")
    return any(op.get_bind().scalar(sa.text(f"SELECT 1 FROM {table} LIMIT 1")) for table in tables)  # noqa: S608


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite" or is_partitioned() or holds_calls():
        return
    op.execute(sa.text(f"ALTER TABLE cdr DROP INDEX cdr_export, ADD INDEX cdr_export (export_seq) {by_call()}"))
    for table in ("cdr_attempt", "cdr_charge"):
        op.execute(sa.text(f"ALTER TABLE {table} {by_call()}"))
    op.execute(
        sa.text(
            f"ALTER TABLE ledger_entry ADD COLUMN period SMALLINT NOT NULL DEFAULT ({period()})"
            " COMMENT 'year and month of the call in the reference; 0 = of no call',"
            " DROP PRIMARY KEY, ADD PRIMARY KEY (id, period),"
            " DROP INDEX ledger_entry_once, ADD UNIQUE ledger_entry_once (account, kind, reference, period),"
            " DROP INDEX ledger_entry_chain, ADD UNIQUE ledger_entry_chain (account, seq, period)"
            f" {by_period()}"
        )
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite" or not is_partitioned():
        return
    op.execute(sa.text("ALTER TABLE cdr DROP INDEX cdr_export, ADD UNIQUE cdr_export (export_seq) REMOVE PARTITIONING"))
    for table in ("cdr_attempt", "cdr_charge"):
        op.execute(sa.text(f"ALTER TABLE {table} REMOVE PARTITIONING"))
    op.execute(
        sa.text(
            "ALTER TABLE ledger_entry DROP PRIMARY KEY, ADD PRIMARY KEY (id),"
            " DROP INDEX ledger_entry_once, ADD UNIQUE ledger_entry_once (account, kind, reference),"
            " DROP INDEX ledger_entry_chain, ADD UNIQUE ledger_entry_chain (account, seq), DROP COLUMN period"
            " REMOVE PARTITIONING"
        )
    )


def is_partitioned() -> bool:
    query = (
        "SELECT 1 FROM information_schema.partitions WHERE table_schema = DATABASE() AND table_name = 'ledger_entry'"
        " AND partition_name IS NOT NULL LIMIT 1"
    )
    return op.get_bind().scalar(sa.text(query)) is not None
