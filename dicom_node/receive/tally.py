"""What one association brought, counted: for the log, the record, and the judgement of its series."""

from __future__ import annotations

from dicom_node.spool import Happened

MOST_NAMED = 10_000
"""Of so many refused images the UIDs are kept; beyond, they are only counted."""


class Tally:
    """The images of one association by what became of them.

    Attributes:
        stored, duplicates, conflicts: answered with success; new, the same bytes again, other bytes.
    """

    def __init__(self) -> None:
        self.stored = self.duplicates = self.conflicts = 0
        self._refused: dict[str, None] = {}
        self._unnamed = 0

    def took(self, sop_instance_uid: str, happening: Happened) -> None:
        """An image was answered with success; if it was refused before, that is made good."""
        if happening == "stored":
            self.stored += 1
        elif happening == "duplicate":
            self.duplicates += 1
        else:
            self.conflicts += 1
        self._refused.pop(sop_instance_uid, None)

    def refused(self, sop_instance_uid: str) -> None:
        """An image was refused for want of resources."""
        if len(self._refused) < MOST_NAMED:
            self._refused[sop_instance_uid] = None
        elif sop_instance_uid not in self._refused:
            self._unnamed += 1

    @property
    def taken(self) -> int:
        """Images answered with success."""
        return self.stored + self.duplicates + self.conflicts

    @property
    def lacking(self) -> int:
        """Images that were refused and did not come again."""
        return len(self._refused) + self._unnamed

    @property
    def lacking_uids(self) -> tuple[str, ...]:
        """Their SOP Instance UIDs; of very many, the first."""
        return tuple(self._refused)
