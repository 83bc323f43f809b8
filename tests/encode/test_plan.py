"""Each destination gets the best form that it accepts, and is told why."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from dicom_node.encode import encode, to_bytes
from dicom_node.encode.compression import compressed
from dicom_node.encode.dispatch import FORMS
from dicom_node.encode.plan import ASSUMED, PROFILES, SOP_CLASSES, Choice, forms, plan
from dicom_node.findings import Segmentation
from tests.encode.cases import Worked, everything
from tests.peers.dcmtk import storescu
from tests.peers.process import NO_NAGLE, free_port, listens, need, running, wait_until
from tests.peers.validators import dciodvfy

ALL = frozenset(SOP_CLASSES.values())
SEG, LABELS, RT = (SOP_CLASSES[form] for form in ("seg", "labelmap", "rtstruct"))
SC = SOP_CLASSES["sc"]


@pytest.mark.parametrize(
    ("accepted", "profile", "expected"),
    [
        (ALL, "any", {"labelmap", "sr", "sc"}),
        (ALL, "ohif", {"labelmap", "sr", "sc"}),
        (ALL, "weasis", {"seg", "sr", "sc"}),
        (ALL, "pictures", {"sc"}),
        (ALL - {LABELS}, "any", {"seg", "sr", "sc"}),
        (ALL - {LABELS, SEG}, "any", {"rtstruct", "sr", "sc"}),
        (ALL - {LABELS, SEG, RT}, "any", {"sr", "sc"}),
        (ALL - {SOP_CLASSES["sr"]}, "any", {"labelmap", "sr-comprehensive", "sc"}),
        (frozenset({SC}), "any", {"sc"}),
        (None, "any", {"seg", "sr", "sc"}),
        (frozenset(), "any", set()),
    ],
)
def test_the_best_form_that_is_accepted(
    small: Worked, accepted: frozenset[str] | None, profile: str, expected: set[str]
) -> None:
    chosen = plan(small.findings, ("seg", "sr", "sc"), PROFILES[profile], accepted)
    assert forms(chosen) == expected


def test_masks_that_overlap_go_as_binary(small: Worked) -> None:
    layers = np.stack([small.mask.array == 1, small.mask.array > 0])
    finding = Segmentation(layers, small.mask.segments)
    (choice,) = plan([finding], ("seg",), PROFILES["any"], ALL)
    assert choice == Choice("seg", "seg", "labelmap: the masks overlap or are fractions")


def test_a_refusal_is_explained(small: Worked) -> None:
    (choice,) = plan(small.findings, ("seg",), PROFILES["any"], {RT})
    assert choice.form == "rtstruct"
    assert choice.reason == (
        "labelmap: not accepted by the destination; seg: not accepted by the destination"
    )
    (none,) = plan(small.findings, ("pm",), PROFILES["any"], ALL)
    assert none == Choice("pm", None, "pm: there is no heat map; heat: there is no heat map")


@given(accepted=st.sets(st.sampled_from(sorted(ALL))), profile=st.sampled_from(sorted(PROFILES)))
def test_nothing_is_chosen_that_is_refused_or_not_shown(accepted: set[str], profile: str) -> None:
    for choice in plan([], sorted(FORMS), PROFILES[profile], accepted):
        if choice.form is not None:
            assert SOP_CLASSES[choice.form] in accepted
            assert choice.form in PROFILES[profile].shows
        else:
            assert choice.reason


def test_every_form_has_a_class_and_a_maker() -> None:
    assert set(SOP_CLASSES) == FORMS
    assert ASSUMED < FORMS


@pytest.mark.parametrize(
    ("form", "accepted", "syntax"),
    [
        ("seg", {DeflatedExplicitVRLittleEndian, RLELossless}, DeflatedExplicitVRLittleEndian),
        ("sc", {RLELossless}, RLELossless),
        ("sc", {RLELossless, JPEGLSLossless}, JPEGLSLossless),
        ("sc", {RLELossless, JPEG2000Lossless}, JPEG2000Lossless),
        ("key", {RLELossless, DeflatedExplicitVRLittleEndian}, RLELossless),
    ],
)
def test_compression_loses_nothing(
    small: Worked, tmp_path: Path, form: str, accepted: set[str], syntax: str
) -> None:
    findings = everything(small)
    large = [replace(small.mask, array=np.tile(small.mask.array, (1, 1, 1))), *findings[1:]]
    made = encode(large, replace(small.context, outputs=frozenset({form})))[0]
    smaller = compressed(made, accepted)
    if len(made.ds.PixelData) < 65536:
        assert smaller is made, "too small to be worth it"
        return
    content = to_bytes(smaller)
    read = pydicom.dcmread(BytesIO(content))
    assert read.file_meta.TransferSyntaxUID == syntax
    assert read.SOPInstanceUID == made.sop_instance_uid
    np.testing.assert_array_equal(read.pixel_array, made.ds.pixel_array)
    assert len(content) < len(to_bytes(made)) / 2
    assert to_bytes(compressed(made, accepted)) == content
    path = tmp_path / "compressed.dcm"
    path.write_bytes(content)
    assert dciodvfy(path) == []


def test_what_is_not_accepted_stays_as_it_is(small: Worked) -> None:
    made = encode(small.findings, replace(small.context, outputs=frozenset({"sc"})))[0]
    assert compressed(made, {"1.2.840.10008.1.2"}) is made
    assert made.ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


RESTRICTED = """
[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LittleEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Some]
{contexts}
[[Profiles]]
[Some]
PresentationContexts = Some
"""


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ([SEG, SOP_CLASSES["sr"], SC], {"seg", "sr", "sc"}),
        ([RT, SOP_CLASSES["sr-comprehensive"], SC], {"rtstruct", "sr-comprehensive", "sc"}),
        ([SC], {"sc"}),
    ],
    ids=["no label maps", "no segmentations", "pictures only"],
)
def test_restricted_receivers_take_what_is_planned_for_them(
    small: Worked, tmp_path: Path, accepted: list[str], expected: set[str]
) -> None:
    contexts = "\n".join(
        f"PresentationContext{n} = {uid}\\Plain" for n, uid in enumerate([*accepted], start=1)
    )
    configuration = tmp_path / "storescp.cfg"
    configuration.write_text(RESTRICTED.format(contexts=contexts))
    chosen = forms(plan(small.findings, ("seg", "sr", "sc"), PROFILES["any"], accepted))
    assert chosen == expected
    folder = tmp_path / "out"
    folder.mkdir()
    for obj in encode(small.findings, replace(small.context, outputs=chosen)):
        (folder / f"{obj.kind}.dcm").write_bytes(to_bytes(obj))
    received, port = tmp_path / "received", free_port()
    received.mkdir()
    command = [need("storescp"), "-xf", configuration, "Some", "-od", received, str(port)]
    with running(command, log=tmp_path / "storescp.log", environment=NO_NAGLE):
        wait_until(lambda: listens(port), seconds=30, what="storescp listens")
        sent = storescu(sorted(folder.iterdir()), "127.0.0.1", port, "SOME")
        assert sent.ok, sent.output
    assert len(list(received.iterdir())) == len(expected)
