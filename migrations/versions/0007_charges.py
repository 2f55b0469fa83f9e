"""A charge for everyone who pays or is paid for a call, and the corrections of charges.

Calls that are booked already have no charges; the two numbers say up to where.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def money() -> sa.types.TypeEngine[Any]:
    return sa.Numeric(20, 8).with_variant(sa.BigInteger(), "sqlite")


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def call_key() -> sa.types.TypeEngine[Any]:
    return sa.LargeBinary().with_variant(sa.BINARY(16), "mysql")


def upgrade() -> None:
    op.create_table(
        "cdr_charge",
        sa.Column("call_id", call_key(), primary_key=True, comment="of a call without CDR too"),
        sa.Column("position", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("rate_group", sa.String(64)),
        sa.Column("rate_version", sa.String(64)),
        sa.Column("rate_prefix", sa.String(32)),
        sa.Column("unit_price", money()),
        sa.Column("price_per", sa.String(8)),
        sa.Column("billed_seconds", sa.Integer, nullable=False),
        sa.Column("fee", money(), nullable=False),
        sa.Column("tax", money(), nullable=False),
        sa.Column("currency", sa.String(3)),
        sa.Column("corrected", sa.SmallInteger, nullable=False),
        sa.Column("breakdown", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )
    op.create_table(
        "cdr_correction",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("call_id", call_key(), nullable=False),
        sa.Column("reference", sa.String(128), nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False, comment="of the charge in cdr_charge"),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("role", sa.String(8), nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("fee_before", money(), nullable=False),
        sa.Column("fee_after", money(), nullable=False),
        sa.Column("tax_before", money(), nullable=False),
        sa.Column("tax_after", money(), nullable=False),
        sa.Column("seconds_before", sa.Integer, nullable=False, comment="billed seconds"),
        sa.Column("seconds_after", sa.Integer, nullable=False),
        sa.Column("currency", sa.String(3)),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("memo", sa.String(255), nullable=False, comment="why"),
        sa.Column("corrected_at", moment(), nullable=False),
        sa.UniqueConstraint("call_id", "reference", "position", name="cdr_correction_once"),
        **IN_MYSQL,
    )
    op.execute("DELETE FROM counter WHERE name IN ('charges_cdr', 'charges_entry')")  # of an attempt that was killed
    op.execute("INSERT INTO counter (name, value) SELECT 'charges_cdr', COALESCE(MAX(export_seq), 0) FROM cdr")
    op.execute("INSERT INTO counter (name, value) SELECT 'charges_entry', COALESCE(MAX(id), 0) FROM ledger_entry")


def downgrade() -> None:
    op.drop_table("cdr_correction")
    op.drop_table("cdr_charge")
    op.execute("DELETE FROM counter WHERE name IN ('charges_cdr', 'charges_entry')")
