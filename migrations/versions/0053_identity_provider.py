"""People who log in by an identity provider."""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    comment = "SHA-256 of issuer and subject at the identity provider"
    op.add_column("person", sa.Column("identity", sa.String(64), comment=comment))
    op.create_index("person_identity", "person", ["identity"], unique=True)
    comment = "1 = logged in by an identity provider"
    by_provider = sa.Column("by_provider", sa.SmallInteger(), nullable=False, server_default="0", comment=comment)
    op.add_column("person_session", by_provider)


def downgrade() -> None:
    op.drop_column("person_session", "by_provider")
    op.drop_index("person_identity", "person")
    op.drop_column("person", "identity")
