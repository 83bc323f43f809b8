"""From evidence to a verdict: `judge(evidence, policy, now)`. Pure."""

from dicom_node.complete.judge import judge

__all__ = ["judge"]
