"""What a series is, from headers alone: headers lie, so every answer has its evidence and confidence.

A leaf beside `records` and `geometry`: it knows no room, and rooms may ask it.
"""

from dicom_node.understanding.belief import Answer
from dicom_node.understanding.understand import facts_of, understand

__all__ = ["Answer", "facts_of", "understand"]
