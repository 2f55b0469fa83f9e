"""Views of pages of the console that people keep by name."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0098"
down_revision = "0097"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def upgrade() -> None:
    op.create_table(
        "saved_view",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("owner", sa.String(64), nullable=False, comment="person, or token and its id"),
        sa.Column("page", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("query", sa.Text, nullable=False, comment="of the address of the page"),
        sa.Column("shared", sa.SmallInteger, nullable=False, comment="1 = all operators see it"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("changed_at", sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql"), nullable=False),
        sa.Column("changed_by", sa.String(64), nullable=False),
        sa.UniqueConstraint("owner", "page", "name", name="saved_view_once"),
        sa.Index("saved_view_shared", "shared"),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("saved_view")
