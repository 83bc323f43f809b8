"""Drafts that can't lie: text is checked, sentence by sentence, against what was measured."""

from dicom_node.drafts.check import Judged, foreign_modality, judge
from dicom_node.drafts.draft import checked_text
from dicom_node.drafts.facts import Fact, facts_of
from dicom_node.drafts.template import template_sentences

__all__ = ["Fact", "Judged", "checked_text", "facts_of", "foreign_modality", "judge", "template_sentences"]
