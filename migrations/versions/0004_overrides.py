"""Operational overrides, the record of their changes, and the counter of their versions."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

COUNTER = sa.table("counter", sa.column("name", sa.String), sa.column("value", sa.BigInteger))


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    if op.get_bind().scalar(sa.select(COUNTER.c.value).where(COUNTER.c.name == "overrides")) is None:
        op.bulk_insert(COUNTER, [{"name": "overrides", "value": 0}])
    op.create_table(
        "operational_override",
        sa.Column("target", sa.String(16), primary_key=True, comment="account, mapping or routing"),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("setting", sa.String(32), primary_key=True),
        sa.Column("value", sa.String(64), nullable=False, comment="empty for a block"),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("set_at", moment(), nullable=False),
        sa.Column("expires_at", moment(), comment="null = when it is cleared"),
        sa.Column("memo", sa.String(255)),
        **IN_MYSQL,
    )
    op.create_table(
        "override_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("changed_at", moment(), nullable=False),
        sa.Column("action", sa.String(16), nullable=False, comment="set, cleared or expired"),
        sa.Column("changed_by", sa.String(64), comment="null = it expired"),
        sa.Column("target", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("setting", sa.String(32), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("operator", sa.String(64), nullable=False, comment="who had set it"),
        sa.Column("set_at", moment(), nullable=False),
        sa.Column("expires_at", moment()),
        sa.Column("memo", sa.String(255)),
        sa.Index("override_change_name", "name"),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("override_change")
    op.drop_table("operational_override")
    op.execute(sa.delete(COUNTER).where(COUNTER.c.name == "overrides"))
