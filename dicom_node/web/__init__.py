"""The node over HTTP, for people and monitors: one status page, JSON, health and metrics. Reads only."""

from dicom_node.web.app import make_app, serve
from dicom_node.web.status import Check, StatusView, routes_of, routing

__all__ = ["Check", "StatusView", "make_app", "routes_of", "routing", "serve"]
