"""Headers of the answer that repeats of a request of the API get."""

import sqlalchemy as sa
from alembic import op

revision = "0091"
down_revision = "0090"
branch_labels = None
depends_on = None
compatible_with = "0019"


def upgrade() -> None:
    comment = "JSON: headers of the answer, names and values"
    op.add_column("api_request", sa.Column("headers", sa.Text, comment=comment))


def downgrade() -> None:
    op.drop_column("api_request", "headers")
