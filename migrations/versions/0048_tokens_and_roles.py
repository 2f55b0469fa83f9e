"""Tokens of programs, and roles of the installation's own."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0048"
down_revision = "0043"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    op.create_table(
        "access_role",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("acts_for", sa.String(16), nullable=False, comment="installation, agent or customer"),
        sa.Column("permissions", sa.Text, nullable=False, comment="JSON: their names; of a role that ships null"),
        sa.Column("wants_totp", sa.SmallInteger(), nullable=False, comment="1 = people log in with a second factor"),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, comment="SHA-256 of the secret"),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False, comment="JSON: what narrows the role; empty = nothing does"),
        sa.Column("account", sa.String(64)),
        sa.Column("networks", sa.Text, nullable=False, comment="JSON: where it may come from; empty = anywhere"),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("expires_at", moment()),
        sa.Column("used_at", moment(), comment="to the minute"),
        sa.Column("revoked_at", moment()),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("api_token")
    op.drop_table("access_role")
