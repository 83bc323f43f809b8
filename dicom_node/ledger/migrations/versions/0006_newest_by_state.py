"""The newest jobs and deliveries of a state, without looking through all of them"""

from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_jobs_newest', 'jobs', ['state', 'created_at'], unique=False)
    op.create_index('ix_deliveries_newest', 'deliveries', ['state', 'id'], unique=False)


def downgrade() -> None:
    raise NotImplementedError('a ledger is not taken back to an earlier version: restore its backup')
