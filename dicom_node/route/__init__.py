"""Which routes take a series, and why: `match(facts, routes)` gives an explanation for each route. Pure."""

from dicom_node.route.explanation import Explanation, Weighed
from dicom_node.route.know import know
from dicom_node.route.match import match
from dicom_node.route.queueing import not_before, priority
from dicom_node.route.study import Complete, StudyExplanation, match_study
from dicom_node.route.tell import tell
from dicom_node.route.weigh import weigh

__all__ = [
    "Complete",
    "Explanation",
    "StudyExplanation",
    "Weighed",
    "know",
    "match",
    "match_study",
    "not_before",
    "priority",
    "tell",
    "weigh",
]
