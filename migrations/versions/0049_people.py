"""People who log in to the management API, and their sessions."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None
compatible_with = "0019"

IN_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def moment() -> sa.types.TypeEngine[Any]:
    return sa.String(24).with_variant(mysql.DATETIME(fsp=3), "mysql")


def upgrade() -> None:
    op.create_table(
        "person",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("account", sa.String(64)),
        sa.Column("password", sa.String(255), comment="argon2id in PHC form; empty = none yet"),
        sa.Column("totp", sa.String(255), comment="secret of the second factor, encrypted by a key of state_dir"),
        sa.Column("totp_step", sa.BigInteger(), comment="of the last code that was used"),
        sa.Column("totp_begun", sa.String(255), comment="such a secret that no code has confirmed yet"),
        sa.Column("recovery", sa.Text, nullable=False, comment="JSON: SHA-256 of each code that is left"),
        sa.Column("link", sa.String(64), comment="SHA-256 of the secret of the one-time link"),
        sa.Column("link_until", moment()),
        sa.Column("disabled_at", moment()),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("logged_in_at", moment()),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )
    op.create_table(
        "person_session",
        sa.Column("digest", sa.String(64), primary_key=True, comment="SHA-256 of the id that the cookie has"),
        sa.Column("person", sa.String(64), nullable=False),
        sa.Column("csrf", sa.String(64), nullable=False, comment="what requests that change something repeat"),
        sa.Column("source", sa.String(64), nullable=False, comment="address of the log-in"),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("used_at", moment(), nullable=False, comment="to the minute"),
        sa.Column("ends_at", moment(), nullable=False),
        sa.Index("person_session_person", "person"),
        sqlite_with_rowid=False,
        **IN_MYSQL,
    )


def downgrade() -> None:
    op.drop_table("person_session")
    op.drop_table("person")
