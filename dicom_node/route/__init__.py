"""Which routes take a series, and why: `match(facts, routes)` gives an explanation for each route. Pure."""

from dicom_node.route.explanation import Explanation, Weighed
from dicom_node.route.match import match

__all__ = ["Explanation", "Weighed", "match"]
