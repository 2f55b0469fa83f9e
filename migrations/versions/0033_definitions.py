"""Objects of the configuration in the database, with every version of each."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0033"
down_revision = "0025"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    op.create_table(
        "definition",
        sa.Column("kind", sa.String(32), primary_key=True, comment="section of the configuration"),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False, comment="1, 2, 3 ... of the object"),
        sa.Column(
            "body", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), comment="JSON: keys and values; null = it ends"
        ),
        sa.Column("begins_at", moment(), nullable=False, comment="in force is the one that began last"),
        sa.Column("made_at", moment(), nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("memo", sa.String(255)),
        sa.Column("changed", sa.BigInteger(), nullable=False, comment="version of all definitions that it made"),
        sa.Index("definition_changed", "changed"),
        sa.Index("definition_begins_at", "begins_at"),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("definition")
