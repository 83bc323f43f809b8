"""The node over HTTP, for people and monitors: one status page, JSON, health and metrics. Reads only."""

from dicom_node.web.app import make_app, serve
from dicom_node.web.page import ago
from dicom_node.web.status import (
    SHOWN,
    Check,
    DeliveryLine,
    JobLine,
    RefusalLine,
    SeriesLine,
    Status,
    StatusView,
    read_status,
    routing,
)

__all__ = [
    "SHOWN",
    "Check",
    "DeliveryLine",
    "JobLine",
    "RefusalLine",
    "SeriesLine",
    "Status",
    "StatusView",
    "ago",
    "make_app",
    "read_status",
    "routing",
    "serve",
]
