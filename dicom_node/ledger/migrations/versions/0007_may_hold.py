"""Deliveries that a destination may have taken though an attempt failed"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        'deliveries', sa.Column('may_hold', sa.Boolean(), nullable=False, server_default=sa.false())
    )
    deliveries = sa.table(
        'deliveries', sa.column('state', sa.String()), sa.column('attempt', sa.Integer()),
        sa.column('may_hold', sa.Boolean()),
    )
    tried = deliveries.c.state == 'owed', deliveries.c.attempt > 0
    op.execute(sa.update(deliveries).where(*tried).values(may_hold=True))


def downgrade() -> None:
    raise NotImplementedError('a ledger is not taken back to an earlier version: restore its backup')
