"""Sums of calls by quarters of an hour and by days, for reports; the switch adds the calls that are there already."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_COUNTS = (
    "calls", "answered", "progressed", "hold_ms", "hold_s", "billed_seconds", "vendor_billed_seconds", "pdd_calls",
    "pdd_ms", "setup_ms", "band_0", "band_1", "band_2", "band_3", "band_4", "band_5", "band_6", "below_cost",
    "failed_over",
)  # fmt: skip
_AMOUNTS = ("fee", "tax", "cost", "cost_tax", "income", "loss")


def money() -> sa.types.TypeEngine[Any]:
    return sa.Numeric(20, 8).with_variant(sa.BigInteger(), "sqlite")


def sums(name: str, meaning: str) -> None:
    op.create_table(
        name,
        sa.Column(
            "kind",
            sa.SmallInteger(),
            primary_key=True,
            autoincrement=False,
            comment="0 call, 1 agent, 2 attempt, 3 wait",
        ),
        sa.Column("slot", sa.Integer(), primary_key=True, autoincrement=False, comment=meaning),
        sa.Column("key_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        *(sa.Column(count, sa.BigInteger(), nullable=False) for count in _COUNTS),
        *(sa.Column(amount, money(), nullable=False) for amount in _AMOUNTS),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def upgrade() -> None:
    op.create_table(
        "traffic_key",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("digest", sa.String(32), nullable=False, comment="of the columns that follow"),
        sa.Column("kind", sa.String(8), nullable=False, comment="call, agent, attempt or wait"),
        sa.Column("party", sa.String(64), nullable=False, comment="agent whose charges these are; else empty"),
        sa.Column("customer_account", sa.String(64), nullable=False, comment="empty = none, as in all columns"),
        sa.Column("vendor_account", sa.String(64), nullable=False),
        sa.Column("mapping_gateway", sa.String(64), nullable=False),
        sa.Column("routing_gateway", sa.String(64), nullable=False),
        sa.Column("billing_method", sa.String(8), nullable=False),
        sa.Column("area", sa.String(128), nullable=False, comment="of the customer's rate; else its prefix"),
        sa.Column("rate_type", sa.String(16), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("vendor_currency", sa.String(3), nullable=False),
        sa.Column("income_currency", sa.String(3), nullable=False),
        sa.Column("end_reason", sa.String(32), nullable=False),
        sa.Column("sip_code", sa.SmallInteger(), nullable=False, comment="of unanswered calls; else 0"),
        sa.Column("hangup_source", sa.String(8), nullable=False, comment="of unanswered calls"),
        sa.Column("wait_ms", sa.Integer(), nullable=False, comment="step of the wait for the first ringing; else 0"),
        sa.UniqueConstraint("digest", name="traffic_key_once"),
        **IN_MYSQL,
    )
    sums("traffic", "quarters of an hour since 1970, in which the calls began")
    sums("traffic_day", "the first quarter of the UTC day")
    counter = sa.table("counter", sa.column("name"), sa.column("value"))
    op.bulk_insert(counter, [{"name": "traffic", "value": 0}, {"name": "traffic_days", "value": 0}])


def downgrade() -> None:
    op.execute("DELETE FROM counter WHERE name IN ('traffic', 'traffic_days')")
    for name in ("traffic_day", "traffic", "traffic_key"):
        op.drop_table(name)
