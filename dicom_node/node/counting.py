"""Asks sources by C-FIND how many images they hold of what they are sending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from dicom_node.config import DestinationConfig
from dicom_node.errors import NodeError
from dicom_node.node.site import Site
from dicom_node.query import count_instances

log = structlog.get_logger()
AGAIN = timedelta(seconds=5)
"""How long after an answer a source is asked again of the same series."""


def count_at(site: Site, name: str) -> None:
    """Asks a peer about each study that arrives from it; one that does not answer is asked again later."""
    peer = site.config.peers[name]
    assert peer.host is not None  # noqa: S101 - the configuration was checked for it
    assert peer.port is not None  # noqa: S101
    source = DestinationConfig(ae_title=peer.ae_title, host=peer.host, port=peer.port)
    now = datetime.now(UTC)
    for study_instance_uid, patient_id in site.ledger.holdings.to_count(peer.ae_title, now - AGAIN):
        try:
            counts = count_instances(source, site.config.node.ae_title, study_instance_uid, patient_id)
        except NodeError as fault:
            log.warning("count_failed", peer=name, study_instance_uid=study_instance_uid, error=str(fault))
            return
        site.ledger.holdings.note_counts(name, counts, datetime.now(UTC))
