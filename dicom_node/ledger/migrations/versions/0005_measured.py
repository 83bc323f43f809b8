"""What was measured, for trends over a patient's studies"""

import sqlalchemy as sa
from alembic import op

from dicom_node.ledger.tables import UTCDateTime

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('measured',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('patient_id', sa.String(length=64), nullable=False),
        sa.Column('algorithm', sa.Text(), nullable=False),
        sa.Column('series_instance_uid', sa.String(length=64), nullable=False),
        sa.Column('route', sa.String(length=255), nullable=False),
        sa.Column('pipeline', sa.String(length=255), nullable=False),
        sa.Column('at', UTCDateTime(timezone=True), nullable=False),
        sa.Column('value', sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_measured')),
    )
    for column in ('patient_id', 'series_instance_uid', 'at'):
        op.create_index(op.f(f'ix_measured_{column}'), 'measured', [column])


def downgrade() -> None:
    raise NotImplementedError('a ledger is not taken back to an earlier version: restore its backup')
