"""What associations brought of series, and what procedure steps list, as rows of their own"""

import sqlalchemy as sa
from alembic import op

from dicom_node.ledger.tables import UTCDateTime

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('pieces',
        sa.Column('series_instance_uid', sa.String(length=64), nullable=False),
        sa.Column('association_id', sa.String(length=64), nullable=False),
        sa.Column('images', sa.Integer(), nullable=False),
        sa.Column('first_at', UTCDateTime(timezone=True), nullable=False),
        sa.Column('last_at', UTCDateTime(timezone=True), nullable=False),
        sa.Column('sop_instance_uid', sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint('series_instance_uid', 'association_id', name=op.f('pk_pieces')),
    )
    op.create_index(op.f('ix_pieces_association_id'), 'pieces', ['association_id'])
    op.execute(
        'INSERT INTO pieces SELECT series_instance_uid, association_id, count(*), min(received_at),'
        ' max(received_at), min(sop_instance_uid) FROM instances GROUP BY series_instance_uid, association_id'
    )
    with op.batch_alter_table('instances') as batch_op:
        batch_op.drop_index(batch_op.f('ix_instances_association_id'))
    performed_series = op.create_table('performed_series',
        sa.Column('mpps_instance_uid', sa.String(length=64), nullable=False),
        sa.Column('series_instance_uid', sa.String(length=64), nullable=False),
        sa.Column('sop_instance_uids', sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(['mpps_instance_uid'], ['performed_steps.mpps_instance_uid'],
                                name=op.f('fk_performed_series_mpps_instance_uid')),
        sa.PrimaryKeyConstraint('mpps_instance_uid', 'series_instance_uid', name=op.f('pk_performed_series')),
    )
    op.create_index(op.f('ix_performed_series_series_instance_uid'), 'performed_series', ['series_instance_uid'])
    steps = sa.table('performed_steps', sa.column('mpps_instance_uid', sa.String()), sa.column('series', sa.JSON()))
    rows = [
        {'mpps_instance_uid': step.mpps_instance_uid, 'series_instance_uid': uid, 'sop_instance_uids': images}
        for step in op.get_bind().execute(sa.select(steps.c.mpps_instance_uid, steps.c.series)).all()
        for uid, images in step.series.items()
    ]
    if rows:
        op.bulk_insert(performed_series, rows)
    op.drop_column('performed_steps', 'series')
    op.create_index(op.f('ix_performed_steps_at'), 'performed_steps', ['at'])
    op.create_index(op.f('ix_commitments_at'), 'commitments', ['at'])
    op.create_index('ix_commitments_sender', 'commitments', ['calling_ae_title', 'at'])


def downgrade() -> None:
    raise NotImplementedError('a ledger is not taken back to an earlier version: restore its backup')
