"""`dicom-node reindex`: brings the ledger up to the spool, whatever the journals say."""

from __future__ import annotations

from dicom_node import log
from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.node.indexing import read_journals, reconcile, reconcile_conflicts
from dicom_node.node.site import open_site


def reindex(config: ConfigOption = CONFIG) -> None:
    """Read every file of the spool that the ledger does not know; safe at any time, needed after none."""
    log.configure(level="warning")
    with told(), open_site(config) as site:
        site.ledger.migrate()
        read_journals(site)
        console.print(f"{reconcile(site)} instances were in the spool alone, and are in the ledger now")
        beside = reconcile_conflicts(site)
        console.print(f"so are {beside} that came with other bytes under a UID that was there already")
