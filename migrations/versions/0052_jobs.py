"""Long work that the management API was ordered to do, with its outcome."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0052"
down_revision = "0050"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def text() -> sa.types.TypeEngine[Any]:
    return sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False, comment="the object that it is about"),
        sa.Column("login", sa.String(64), nullable=False, comment="the name of who has ordered it, as it was proved"),
        sa.Column("means", sa.String(16), nullable=False, comment="token, page or terminal"),
        sa.Column("who", sa.Text, nullable=False, comment="JSON: who has ordered it, with permissions"),
        sa.Column("job_order", text(), nullable=False, comment="JSON; empty once it has ended"),
        sa.Column("upload", sa.String(64), comment="file of the order, in state_dir/jobs"),
        sa.Column("state", sa.String(16), nullable=False, comment="queued, running, done, failed or cancelled"),
        sa.Column("attempt", sa.Integer, nullable=False, comment="of how many beginnings this is the last"),
        sa.Column("progress", sa.Integer, nullable=False, comment="thousandths"),
        sa.Column("queued_at", moment(), nullable=False),
        sa.Column("begun_at", moment()),
        sa.Column("committed_at", moment(), comment="written in the transaction of its change"),
        sa.Column("ended_at", moment()),
        sa.Column("result", text(), comment="JSON"),
        sa.Column("result_file", sa.String(64), comment="in state_dir/jobs"),
        sa.Column("problem", text(), comment="JSON: why it has failed"),
        sa.Index("job_state", "state"),
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("job")
