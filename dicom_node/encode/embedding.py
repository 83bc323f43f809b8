"""Embeddings: the findings that make no DICOM object, but a file that stays with the series' results."""

from __future__ import annotations

from collections.abc import Sequence

from dicom_node.encode.context import EncodeContext, EncodedFile
from dicom_node.encode.uids import result_uid
from dicom_node.findings import Embedding, Finding
from dicom_node.similar import embedder, embedding_bytes

KIND = "embedding"


def embedding_files(findings: Sequence[Finding], context: EncodeContext) -> tuple[EncodedFile, ...]:
    """A file for each embedding, of the series that it was computed of."""
    embeddings = [one for one in findings if isinstance(one, Embedding)]
    return tuple(
        EncodedFile(
            kind=KIND,
            uid=result_uid(context, KIND, at),
            series_instance_uid=str(context.sources[one.role][0].SeriesInstanceUID),
            name=f"{KIND}_{at}.npz",
            content=embedding_bytes(one),
            description=embedder(one),
        )
        for at, one in enumerate(embeddings)
    )
