"""Person or token that has made a token: it may do no more than that may at each moment.

Tokens that are there already have theirs from the audit, which has a line of each; those that were made at the terminal
have none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0096"
down_revision = "0095"
branch_labels = None
depends_on = None
compatible_with = "0019"

_token = sa.table("api_token", sa.column("id", sa.String), sa.column("maker", sa.String))
_audit = sa.table(
    "audit",
    sa.column("action", sa.String),
    sa.column("subject", sa.String),
    sa.column("means", sa.String),
    sa.column("login", sa.String),
)


def upgrade() -> None:
    name = sa.String(64)
    op.add_column("api_token", sa.Column("maker", name, comment="person, or token and its id; null = the terminal"))
    connection = op.get_bind()
    made = sa.select(_audit.c.subject, _audit.c.login).where(
        _audit.c.action == "AddToken", _audit.c.means.in_(["page", "token"])
    )
    for subject, login in connection.execute(made).all():
        own = _token.c.id == subject.removeprefix("token ")
        connection.execute(_token.update().where(own).values(maker=login))


def downgrade() -> None:
    op.drop_column("api_token", "maker")
