"""Invoices, the numbers that their issuers have given, and the templates by which they were printed."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def money() -> sa.types.TypeEngine[Any]:
    return sa.Numeric(20, 8).with_variant(sa.BigInteger(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "invoice",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("issuer", sa.String(64), nullable=False, comment="account of an agent; empty = the installation"),
        sa.Column("account", sa.String(64), nullable=False, comment="who is to pay"),
        sa.Column("kind", sa.String(16), nullable=False, comment="invoice or credit_note"),
        sa.Column("state", sa.String(16), nullable=False, comment="draft, issued or cancelled"),
        sa.Column("number", sa.String(32), comment="null = a draft"),
        sa.Column("follows", sa.BigInteger, comment="the invoice of the account before it; null = the first one"),
        sa.Column("cancels", sa.BigInteger, comment="of a credit note: the invoice"),
        sa.Column("period", sa.String(16), nullable=False),
        sa.Column("since", moment(), nullable=False),
        sa.Column("until", moment(), nullable=False),
        sa.Column(
            "begin_until", moment(), nullable=False, comment="entries dated before it, up to begin_seq, are not on it"
        ),
        sa.Column("begin_seq", sa.BigInteger, nullable=False),
        sa.Column("floor_seq", sa.BigInteger, nullable=False, comment="entries up to it are not on it"),
        sa.Column(
            "end_seq", sa.BigInteger, nullable=False, comment="entries dated before until, up to this one, are on it"
        ),
        sa.Column(
            "open_seq", sa.BigInteger, nullable=False, comment="behind it is every entry that is on no invoice yet"
        ),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("net", money(), nullable=False),
        sa.Column("tax", money(), nullable=False),
        sa.Column("opening", money(), nullable=False),
        sa.Column("carried", money(), nullable=False, comment="what calls of a partner have earned"),
        sa.Column("closing", money(), nullable=False),
        sa.Column("made_at", moment(), nullable=False),
        sa.Column("issued_at", moment()),
        sa.Column("due_at", moment(), comment="first moment at which it is overdue"),
        sa.Column("sent_at", moment(), comment="when it was mailed last"),
        sa.Column("operator", sa.String(64), nullable=False, comment="who has made or issued it"),
        sa.Column(
            "document",
            sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"),
            nullable=False,
            comment="JSON: what is printed",
        ),
        sa.Column("digest", sa.String(64), nullable=False, comment="SHA-256 of the document"),
        sa.Column("template", sa.String(64), comment="SHA-256 of the template; null = a draft"),
        sa.UniqueConstraint("issuer", "number", name="invoice_number"),
        sa.Index("invoice_account", "account", "id"),
        sa.Index("invoice_state", "state", "due_at"),
        **IN_MYSQL,
    )
    op.create_table(
        "invoice_series",
        sa.Column("issuer", sa.String(64), primary_key=True),
        sa.Column("series", sa.String(32), primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False, comment="number that was given last"),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )
    op.create_table(
        "invoice_template",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column(
            "content",
            sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql"),
            nullable=False,
            comment="JSON: its files",
        ),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("invoice_template")
    op.drop_table("invoice_series")
    op.drop_table("invoice")
