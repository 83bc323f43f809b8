"""The presentation contexts proposed are those that the files need, and no association has too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    SegmentationStorage,
)
from pynetdicom.presentation import build_context

from dicom_node.deliver.contexts import Form, batches, chosen_context

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEG2000Lossless]
forms = st.builds(Form, st.integers(0, 300).map(lambda number: f"1.2.3.{number}"), st.sampled_from(SYNTAXES))


def test_an_uncompressed_file_may_be_rewritten_and_a_compressed_one_may_not() -> None:
    ((own, other, packed),) = batches(
        [Form(CTImageStorage, ExplicitVRLittleEndian), Form(SegmentationStorage, JPEG2000Lossless)]
    )
    assert own.transfer_syntax == [ExplicitVRLittleEndian]
    assert other.transfer_syntax == [ImplicitVRLittleEndian]
    assert own.abstract_syntax == other.abstract_syntax == CTImageStorage
    assert packed.transfer_syntax == [JPEG2000Lossless]


@given(st.lists(forms, max_size=400))
def test_batches_hold_every_form_whole_and_at_most_128_contexts(wanted: list[Form]) -> None:
    batched = list(batches(wanted))
    assert all(0 < len(batch) <= 128 for batch in batched)
    own = [(cx.abstract_syntax, cx.transfer_syntax) for batch in batched for cx in batch]
    for form in wanted:
        assert (form.sop_class_uid, [form.transfer_syntax_uid]) in own
    assert len(own) <= 2 * len(set(wanted))


def test_the_files_own_syntax_comes_first_and_none_is_made_up() -> None:
    explicit = build_context(CTImageStorage, [ExplicitVRLittleEndian])
    implicit = build_context(CTImageStorage, [ImplicitVRLittleEndian])
    form = Form(CTImageStorage, ImplicitVRLittleEndian)
    assert chosen_context(form, [explicit, implicit]) is implicit
    assert chosen_context(form, [explicit]) is explicit
    assert chosen_context(Form(CTImageStorage, JPEG2000Lossless), [explicit, implicit]) is None
    assert chosen_context(Form(SegmentationStorage, ImplicitVRLittleEndian), [explicit, implicit]) is None
    assert chosen_context(form, []) is None
