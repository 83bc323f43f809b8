"""Images that the node refused for want of resources, of each association; how often a refusal happened"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('associations', sa.Column('refused', sa.Integer(), nullable=False, server_default='0'))
    op.add_column('associations', sa.Column('refused_uids', sa.JSON(), nullable=True))
    some = sa.text('refused > 0')
    op.create_index(
        'ix_associations_refused', 'associations', ['calling_ae_title', 'ended_at'], unique=False,
        sqlite_where=some, postgresql_where=some,
    )
    op.add_column('refusals', sa.Column('times', sa.Integer(), nullable=False, server_default='1'))
    op.add_column('refusals', sa.Column('of_image', sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    raise NotImplementedError('a ledger is not taken back to an earlier version: restore its backup')
