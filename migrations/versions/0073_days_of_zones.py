"""Sums of days of the zones in which reports are made, beside those of UTC; the switch makes them."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0072"
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
    sums("traffic_zone", "the first quarter of a day of 24 hours of another zone than UTC")
    op.create_table(
        "traffic_zone_day",
        sa.Column(
            "slot",
            sa.Integer(),
            primary_key=True,
            autoincrement=False,
            comment="first quarter of a day in traffic_zone",
        ),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("traffic_zone_day")
    op.drop_table("traffic_zone")
