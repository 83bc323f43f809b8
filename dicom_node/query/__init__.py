"""Questions to a PACS: how many images it holds of a study, which priors a patient has, and their images."""

from dicom_node.query.counts import count_instances
from dicom_node.query.priors import PriorSeries, find_priors
from dicom_node.query.retrieve import Retrieved, retrieve

__all__ = ["PriorSeries", "Retrieved", "count_instances", "find_priors", "retrieve"]
