"""Which presentation contexts a batch of files needs, and in how many associations (PS3.8 9.3.2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom.presentation import PresentationContext, build_context

from dicom_node.association import MAX_CONTEXTS

TRANSCODABLE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
"""An uncompressed little-endian data set can be written in these without touching a pixel (PS3.5 annex A)."""
_UNCOMPRESSED = (*TRANSCODABLE, DeflatedExplicitVRLittleEndian)


LABEL_MAP = UID("1.2.840.10008.5.1.4.1.1.66.7")
"""Label Map Segmentation Storage, which pydicom does not name yet."""


def sop_class_name(sop_class_uid: str) -> str:
    """The standard's name of a storage SOP class, or the UID where it has none."""
    return "Label Map Segmentation Storage" if sop_class_uid == LABEL_MAP else UID(sop_class_uid).name


class Form(NamedTuple):
    """What a peer must accept to take a file as it is."""

    sop_class_uid: str
    transfer_syntax_uid: str


def contexts_of(form: Form) -> list[PresentationContext]:
    """The contexts that a form asks for.

    The file's own syntax stands in a context by itself, so that it is taken untouched where the peer can;
    for uncompressed files a second context has what it could be written in instead.
    """
    contexts = [build_context(form.sop_class_uid, [form.transfer_syntax_uid])]
    if form.transfer_syntax_uid in _UNCOMPRESSED:
        others: list[str | UID] = [uid for uid in TRANSCODABLE if uid != form.transfer_syntax_uid]
        contexts.append(build_context(form.sop_class_uid, others))
    return contexts


def batches(forms: Iterable[Form]) -> Iterator[list[PresentationContext]]:
    """Contexts for one association after another, each at most 128, no form split between two."""
    batch: list[PresentationContext] = []
    for form in sorted(set(forms)):
        contexts = contexts_of(form)
        if len(batch) + len(contexts) > MAX_CONTEXTS:
            yield batch
            batch = []
        batch += contexts
    if batch:
        yield batch


def chosen_context(form: Form, accepted: Iterable[PresentationContext]) -> PresentationContext | None:
    """The accepted context that a file of this form is to be sent in; None where the peer takes none."""
    by_syntax = {cx.transfer_syntax[0]: cx for cx in accepted if cx.abstract_syntax == form.sop_class_uid}
    rewritten = TRANSCODABLE if form.transfer_syntax_uid in _UNCOMPRESSED else ()
    candidates = (by_syntax.get(UID(uid)) for uid in (form.transfer_syntax_uid, *rewritten))
    return next((context for context in candidates if context is not None), None)
