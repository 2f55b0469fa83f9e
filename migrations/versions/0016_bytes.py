"""What a call takes in MySQL: Call-IDs are indexed by their first twenty characters.

Documents of calls are packed from this version on, in the same columns.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None
compatible_with = "0019"

INDEXED = {"cdr_sip_in": "sip_call_id_in", "cdr_sip_out": "sip_call_id_out"}


def upgrade() -> None:
    reindex("({column}(20))")


def downgrade() -> None:
    reindex("({column})")


def reindex(columns: str) -> None:
    """Make the indexes anew while calls are booked; SQLite indexes whole values only."""
    if op.get_bind().dialect.name == "sqlite":
        return
    changes = [
        f"DROP INDEX {name}, ADD INDEX {name} {columns.format(column=column)}" for name, column in INDEXED.items()
    ]
    op.execute(sa.text(f"ALTER TABLE cdr {', '.join(changes)}, ALGORITHM=INPLACE, LOCK=NONE"))
