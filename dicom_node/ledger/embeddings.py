"""Which embeddings are kept of which series: rows of the results, found by series or by model."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select

from dicom_node.ledger.database import Database
from dicom_node.ledger.superseding import followed
from dicom_node.ledger.tables import JobRow, ResultRow, SeriesRow

EMBEDDING = "embedding"
"""Kind of the results that are embeddings; their description says whose: a model and its version."""


@dataclass(frozen=True, slots=True)
class KeptEmbedding:
    """An embedding in the spool.

    Attributes:
        embedder: the model and version that made it.
        path: of its file, relative to the spool's root.
    """

    series_instance_uid: str
    study_instance_uid: str
    embedder: str
    path: str


class Embeddings:
    """Finds embeddings; of a series that was run again, the last run's."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of(self, uid: str) -> list[KeptEmbedding]:
        """Those of a series, or of every series of a study, by series and embedder."""
        return self._where(or_(SeriesRow.series_instance_uid == uid, SeriesRow.study_instance_uid == uid))

    def by(self, embedder: str) -> list[KeptEmbedding]:
        """Those of a model and version, by series."""
        return self._where(ResultRow.description == embedder)

    def known(self, uid: str) -> bool:
        """Whether a series or study of this UID is held."""
        this = or_(SeriesRow.series_instance_uid == uid, SeriesRow.study_instance_uid == uid)
        with self._db.read() as conn:
            return conn.execute(select(SeriesRow.series_instance_uid).where(this)).first() is not None

    def _where(self, condition: ColumnElement[bool]) -> list[KeptEmbedding]:
        """Two routes may have the same embedding made of a series: the later one counts."""
        with self._db.read() as conn:
            rows = conn.execute(
                select(
                    ResultRow.series_instance_uid,
                    SeriesRow.study_instance_uid,
                    ResultRow.description,
                    ResultRow.path,
                )
                .join(SeriesRow, SeriesRow.series_instance_uid == ResultRow.series_instance_uid)
                .join(JobRow, JobRow.id == ResultRow.job_id)
                .where(ResultRow.kind == EMBEDDING, condition, ~followed(JobRow))
                .order_by(ResultRow.series_instance_uid, ResultRow.description, JobRow.created_at)
            )
            found = (KeptEmbedding(*row) for row in rows)
            return list({(one.series_instance_uid, one.embedder): one for one in found}.values())
