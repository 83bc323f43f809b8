"""Opening and migrating: the schema is that of the models, and wrong URLs are said so."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from dicom_node.errors import Permanent, Transient
from dicom_node.ledger import Ledger
from dicom_node.ledger.tables import Base


def test_the_migrations_make_the_models_schema(ledger: Ledger) -> None:
    with ledger.database.engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), Base.metadata) == []


def test_migrating_twice_changes_nothing(ledger: Ledger) -> None:
    ledger.migrate()
    assert ledger.views.idle()


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "oracle+nothing://x/y"])
def test_a_url_that_cannot_be_used_is_permanent(url: str) -> None:
    with pytest.raises(Permanent):
        Ledger(url)


def test_a_database_that_does_not_answer_is_transient(tmp_path) -> None:
    with pytest.raises(Transient):
        Ledger(f"sqlite:///{tmp_path}/no/such/folder/ledger.sqlite").migrate()
