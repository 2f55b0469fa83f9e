"""Person or token that has made a token: it may do no more than that may at each moment.

Tokens that are there already have theirs from the audit, which has a line of each. Those that an earlier program makes
on this schema have none: a later program takes it from the audit when the token is used.
"""

import sqlalchemy as sa
from alembic import op

revision = "0096"
down_revision = "0095"
branch_labels = None
depends_on = None
compatible_with = "0019"

_COMMENT = "person, token and its id, or terminal after a space; null = see the audit"
_AT_TERMINAL = " terminal"
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
    op.add_column("api_token", sa.Column("maker", name, comment=_COMMENT))
    connection = op.get_bind()
    made = sa.select(_audit.c.subject, _audit.c.login, _audit.c.means).where(
        _audit.c.action == "AddToken", _audit.c.means.in_(["page", "token", "terminal"])
    )
    for subject, login, means in connection.execute(made).all():
        own = _token.c.id == subject.removeprefix("token ")
        connection.execute(_token.update().where(own).values(maker=_AT_TERMINAL if means == "terminal" else login))


def downgrade() -> None:
    op.drop_column("api_token", "maker")
