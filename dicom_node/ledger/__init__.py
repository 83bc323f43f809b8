"""The ledger: what happened, and what is owed. The only SQL in the node."""

from dicom_node.ledger.arrivals import Arrivals, Indexed
from dicom_node.ledger.database import Database
from dicom_node.ledger.embeddings import Embeddings, KeptEmbedding
from dicom_node.ledger.evidence import Held, Holdings
from dicom_node.ledger.measured import Values
from dicom_node.ledger.outbox import Outbox
from dicom_node.ledger.past import Past, PastJob, PastSeries
from dicom_node.ledger.promised import Promised, Unpromised
from dicom_node.ledger.queueing import NewJob
from dicom_node.ledger.retention import Expired, Retention
from dicom_node.ledger.superseding import Replaced, Superseding
from dicom_node.ledger.views import Views
from dicom_node.ledger.waits import Waits
from dicom_node.ledger.withdrawing import NoMore
from dicom_node.ledger.work import Work


class Ledger:
    """One database and the rooms' views of it."""

    def __init__(self, url: str, *, looks_only: bool = False) -> None:
        """Connects lazily; `migrate()` once at the node's start.

        Args:
            url: SQLAlchemy's.
            looks_only: for whoever only looks: an SQLite file that isn't there is not made.
        """
        self.database = Database(url, looks_only=looks_only)
        self.arrivals = Arrivals(self.database)
        self.holdings = Holdings(self.database)
        self.work = Work(self.database)
        self.outbox = Outbox(self.database)
        self.waits = Waits(self.database)
        self.promised = Promised(self.database)
        self.retention = Retention(self.database)
        self.superseding = Superseding(self.database)
        self.views = Views(self.database)
        self.past = Past(self.database)
        self.values = Values(self.database)
        self.embeddings = Embeddings(self.database)

    def migrate(self) -> None:
        """Brings the schema to this version's."""
        self.database.migrate()

    def close(self) -> None:
        """Closes every connection."""
        self.database.close()


__all__ = [
    "Expired",
    "Held",
    "Indexed",
    "KeptEmbedding",
    "Ledger",
    "NewJob",
    "NoMore",
    "PastJob",
    "PastSeries",
    "Replaced",
    "Unpromised",
]
