"""Asks sources by C-FIND how many images they hold of what they are sending."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import structlog

from dicom_node.config import DestinationConfig
from dicom_node.errors import NodeError
from dicom_node.node.site import Site
from dicom_node.query import count_instances

log = structlog.get_logger()
AGAIN = timedelta(seconds=5)
"""How long after an answer a source is asked again of the same series."""


class Sources:
    """The peers that are asked, and which of them answer."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._asked = {name: peer for name, peer in site.config.peers.items() if peer.count}
        self._silent: set[str] = set()

    @property
    def names(self) -> list[str]:
        """Names of the peers in conf.yaml."""
        return list(self._asked)

    def answer(self, calling_ae_titles: Collection[str]) -> bool:
        """Whether one of these senders is asked for counts, and did not fail to answer the last time."""
        return any(
            peer.ae_title in calling_ae_titles
            for name, peer in self._asked.items()
            if name not in self._silent
        )

    def ask(self, name: str) -> None:
        """Asks a peer about each study that arrives from it; one that is silent is asked again later."""
        peer, holdings = self._asked[name], self._site.ledger.holdings
        assert peer.host is not None  # noqa: S101 - the configuration was checked for it
        assert peer.port is not None  # noqa: S101
        source = DestinationConfig(ae_title=peer.ae_title, host=peer.host, port=peer.port)
        now = datetime.now(UTC)
        for study_instance_uid, patient_id in holdings.to_count(peer.ae_title, now - AGAIN, now):
            try:
                counts = count_instances(
                    source, self._site.config.node.ae_title, study_instance_uid, patient_id
                )
            except NodeError as fault:
                log.warning(
                    "count_failed", peer=name, study_instance_uid=study_instance_uid, error=str(fault)
                )
                if name not in self._silent:
                    self._silent.add(name)
                    holdings.look_again(peer.ae_title)
                return
            self._silent.discard(name)
            holdings.note_counts(name, counts, datetime.now(UTC))
