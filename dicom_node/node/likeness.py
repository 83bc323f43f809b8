"""Which kept series are most alike, by the embeddings that pipelines made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from dicom_node.errors import BadInput, Permanent
from dicom_node.findings import Embedding
from dicom_node.ledger import KeptEmbedding
from dicom_node.node.site import Site
from dicom_node.similar import nearest, read_embedding

log = structlog.get_logger()


@dataclass(frozen=True)
class Likeness:
    """What one embedding of a series is most like.

    Attributes:
        kept: the embedding that the others were compared with. of: what it was computed of.
        compared: how many other series have one of the same model and version.
        alike: other series' embeddings with the cosine of the angle between, most alike first.
    """

    kept: KeptEmbedding
    of: str
    compared: int
    alike: tuple[tuple[KeptEmbedding, float], ...]


def likenesses(uid: str, site: Site, most: int) -> list[Likeness]:
    """Compares each embedding of a series, or of a study's series, with all others of its model and version.

    Raises:
        Permanent: the series or study is not held, or no embedding is kept of it.
        BadInput: its own embedding can't be read.
    """
    kept = site.ledger.embeddings.of(uid)
    if not kept and not site.ledger.embeddings.known(uid):
        raise Permanent(f"no series or study {uid} is held")
    if not kept:
        raise Permanent(f"no embedding is kept of {uid}: no pipeline that makes one has run on it")
    return [_likeness(one, site, most) for one in kept]


def _likeness(kept: KeptEmbedding, site: Site, most: int) -> Likeness:
    own = read_embedding(site.spool.path(kept.path))
    same = site.ledger.embeddings.by(kept.embedder)
    others = _read([one for one in same if one.series_instance_uid != kept.series_instance_uid], site)
    return Likeness(kept, own.of, len(others), tuple(nearest(own, others, most)))


def _read(kept: Sequence[KeptEmbedding], site: Site) -> list[tuple[KeptEmbedding, Embedding]]:
    """Embeddings with their vectors; one that can't be read is told of, and left out."""
    read = []
    for one in kept:
        try:
            read.append((one, read_embedding(site.spool.path(one.path))))
        except BadInput as fault:
            log.warning("embedding_unreadable", path=one.path, error=str(fault))
    return read
