"""Each destination gets the best form that it accepts, and is told why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import get_args

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from dicom_node.config.models import Output, ProfileName
from dicom_node.encode import encode, to_bytes
from dicom_node.encode.compression import compressed
from dicom_node.encode.dispatch import FORMS
from dicom_node.encode.plan import ASSUMED, PROFILES, SOP_CLASSES, Taker, forms, plan, plan_notice
from dicom_node.encode.rendering import render, render_no_result
from dicom_node.findings import Embedding, Segmentation, Text
from dicom_node.records import Choice
from tests.encode.cases import Worked, everything, worked
from tests.peers.dcmtk import storescu
from tests.peers.process import NO_NAGLE, free_port, need, running, wait_for_port
from tests.peers.validators import dciodvfy

ALL = frozenset(SOP_CLASSES.values())
SEG, LABELS, RT = (SOP_CLASSES[form] for form in ("seg", "labelmap", "rtstruct"))
SC = SOP_CLASSES["sc"]


def taker(
    outputs: Sequence[str], profile: str = "any", accepted: Collection[str] | None = ALL, name: str = "pacs"
) -> Taker:
    """A destination that takes SOP classes uncompressed."""
    forms = None if accepted is None else frozenset((uid, ExplicitVRLittleEndian) for uid in accepted)
    return Taker(name, tuple(outputs), PROFILES[profile], forms)


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
        (ALL, "generic", {"seg", "sr", "sc"}),
        (None, "any", {"seg", "sr", "sc"}),
        (frozenset(), "any", set()),
    ],
)
def test_the_best_form_that_is_accepted(
    small: Worked, accepted: frozenset[str] | None, profile: str, expected: set[str]
) -> None:
    chosen = plan(small.findings, taker(("seg", "sr", "sc"), profile, accepted))
    assert forms(chosen) == expected


def test_masks_that_overlap_go_as_binary(small: Worked) -> None:
    layers = np.stack([small.mask.array == 1, small.mask.array > 0])
    finding = Segmentation(layers, small.mask.segments)
    (choice,) = plan([finding], taker(("seg",)))
    assert choice == Choice("seg", "seg", "labelmap: the masks overlap or are fractions", "pacs")


def test_a_refusal_is_explained(small: Worked) -> None:
    (choice,) = plan(small.findings, taker(("seg",), accepted={RT}))
    assert choice.form == "rtstruct"
    assert choice.reason == (
        "labelmap: not accepted by the destination; seg: not accepted by the destination"
    )
    (none,) = plan(small.findings, taker(("seg",), accepted=set()))
    assert none.form is None
    assert none.words.startswith("pacs: seg in no form: labelmap: not accepted by the destination; seg:")


def test_of_what_was_not_found_there_is_nothing_to_choose(small: Worked) -> None:
    assert plan(small.findings, taker(("pm", "heat"))) == ()
    empty = Segmentation(np.zeros_like(small.mask.array), small.mask.segments)
    assert [choice.output for choice in plan([empty], taker(("seg", "rtstruct", "sr")))] == ["sr"]


def test_an_embedding_stays_and_is_sent_to_nobody(small: Worked) -> None:
    one = Embedding(np.ones(8, np.float32), "dino", "1", "1 key slice", role=small.mask.role)
    note = Text((("The slices were resampled.", "geometry"),), kind="note")
    rendered = render([one, note], small.context, [taker(("seg", "sr", "sc"))])
    assert (rendered.objects, rendered.choices) == ((), ())
    [file] = rendered.files
    assert (file.kind, file.description) == ("embedding", "dino 1")
    assert file.series_instance_uid == str(small.context.principal.SeriesInstanceUID)
    beside = render([*small.findings, one], small.context, [taker(("seg", "sr", "sc"))])
    without = render(small.findings, small.context, [taker(("seg", "sr", "sc"))])
    assert beside.files == rendered.files
    assert [to_bytes(obj) for obj in beside.objects] == [to_bytes(obj) for obj in without.objects]


@pytest.mark.parametrize(
    ("outputs", "accepted", "expected"),
    [
        ({"seg", "sr", "sc"}, ALL, {"sr", "sc"}),
        ({"seg"}, ALL, {"sc"}),
        ({"seg"}, {SOP_CLASSES["sr-comprehensive"], SEG}, {"sr-comprehensive"}),
        ({"seg", "sr"}, {SC}, {"sc"}),
        ({"pdf"}, ALL, {"pdf"}),
        ({"seg", "sr", "sc"}, None, {"sr", "sc"}),
        ({"seg", "sr"}, {SEG}, set()),
    ],
)
def test_a_notice_reaches_whoever_accepts_any_form_of_one(
    small: Worked, outputs: set[str], accepted: set[str] | None, expected: set[str]
) -> None:
    who = taker(tuple(outputs), "any", accepted)
    assert forms(plan_notice(who)) == expected
    rendered = render_no_result("the series is too short", small.context, [who])
    assert {one.kind for one in rendered.objects} == expected
    assert all(one.destinations == ("pacs",) for one in rendered.objects)
    assert all("no result" in one.description for one in rendered.objects)


@given(accepted=st.sets(st.sampled_from(sorted(ALL))), profile=st.sampled_from(sorted(PROFILES)))
def test_nothing_is_chosen_that_is_refused_or_not_shown(accepted: set[str], profile: str) -> None:
    for choice in plan([], taker(tuple(FORMS), profile, accepted)):
        if choice.form is not None:
            assert SOP_CLASSES[choice.form] in accepted
            assert choice.form in PROFILES[profile].shows
        else:
            assert choice.reason


def test_every_form_has_a_class_and_a_maker_and_a_name_in_the_configuration() -> None:
    assert set(SOP_CLASSES) == FORMS == set(get_args(Output))
    assert set(PROFILES) == set(get_args(ProfileName))
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


def test_a_deflated_segmentation_keeps_its_pixels(tmp_path: Path) -> None:
    case = worked(tmp_path, shape=(40, 256, 256))
    made = encode([replace(case.mask, array=np.ones((40, 256, 256), np.uint8))], case.context)[0]
    assert len(made.ds.PixelData) > 65536
    content = to_bytes(compressed(made, {DeflatedExplicitVRLittleEndian}))
    read = pydicom.dcmread(BytesIO(content))
    assert read.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert read.PixelData == made.ds.PixelData
    assert len(content) < len(made.ds.PixelData)


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
    chosen = forms(plan(small.findings, taker(("seg", "sr", "sc"), accepted=set(accepted))))
    assert chosen == expected
    folder = tmp_path / "out"
    folder.mkdir()
    for obj in encode(small.findings, replace(small.context, outputs=chosen)):
        (folder / f"{obj.kind}.dcm").write_bytes(to_bytes(obj))
    received, port = tmp_path / "received", free_port()
    received.mkdir()
    command = [need("storescp"), "-xf", configuration, "Some", "-od", received, str(port)]
    with running(command, log=tmp_path / "storescp.log", environment=NO_NAGLE):
        wait_for_port(port, "storescp")
        sent = storescu(sorted(folder.iterdir()), "127.0.0.1", port, "SOME")
        assert sent.ok, sent.output
    assert len(list(received.iterdir())) == len(expected)


def test_each_destination_gets_its_own_and_nothing_is_made_twice(small: Worked) -> None:
    wanted = ("seg", "sr", "sc")
    takers = [
        taker(wanted, "ohif", ALL, "viewer"),
        taker(wanted, "ohif", ALL - {LABELS}, "archive"),
        taker(wanted, "ohif", ALL - {LABELS, SEG}, "planning"),
        taker(wanted, "ohif", {SC}, "old"),
        taker(wanted, "ohif", ALL - {LABELS}, "second archive"),
    ]
    rendered = render(small.findings, small.context, takers)
    got = {
        one.name: {obj.kind: obj for obj in rendered.objects if one.name in obj.destinations}
        for one in takers
    }
    assert {name: set(objects) for name, objects in got.items()} == {
        "viewer": {"labelmap", "sr", "sc"},
        "archive": {"seg", "sr", "sc"},
        "planning": {"rtstruct", "sr", "sc"},
        "old": {"sc"},
        "second archive": {"seg", "sr", "sc"},
    }
    uids = [one.sop_instance_uid for one in rendered.objects]
    assert len(set(uids)) == len(uids) == 7, "three segmentations, a report that fits each, one picture"
    assert got["archive"] == got["second archive"]
    for name, form in (("viewer", "labelmap"), ("archive", "seg")):
        text = got[name]["sr"].ds.to_json()
        others = {one.sop_instance_uid for one in rendered.objects if one.kind in {"labelmap", "seg"}}
        assert {uid for uid in others if uid in text} == {got[name][form].sop_instance_uid}
    assert {choice.destination for choice in rendered.choices} == {one.name for one in takers}
    alone = render(small.findings, small.context, takers[1:2])
    assert {one.kind: to_bytes(one) for one in alone.objects} == {
        kind: to_bytes(one) for kind, one in got["archive"].items()
    }


def test_an_object_is_compressed_as_all_of_its_destinations_take_it(small: Worked) -> None:
    plain = taker(("sc",), accepted={SC}, name="plain")
    both = Taker("both", ("sc",), PROFILES["any"], (plain.accepted or frozenset()) | {(SC, RLELossless)})
    (alone,) = render(small.findings, small.context, [both]).objects
    (shared,) = render(small.findings, small.context, [both, plain]).objects
    assert alone.ds.file_meta.TransferSyntaxUID == RLELossless
    assert shared.ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (shared.destinations, shared.sop_instance_uid) == (("both", "plain"), alone.sop_instance_uid)


def test_only_those_who_open_them_get_deflated_objects(tmp_path: Path) -> None:
    case = worked(tmp_path, shape=(40, 256, 256))
    large = [replace(case.mask, array=np.ones((40, 256, 256), np.uint8))]
    accepted = frozenset((SEG, syntax) for syntax in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian))
    got = {
        profile: render(large, case.context, [Taker("pacs", ("seg",), PROFILES[profile], accepted)]).objects[
            0
        ]
        for profile in ("generic", "ohif")
    }
    assert got["generic"].ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert got["ohif"].ds.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    assert got["generic"].sop_instance_uid == got["ohif"].sop_instance_uid


def test_results_for_nobody_are_made_to_be_kept(small: Worked) -> None:
    rendered = render(small.findings, small.context, [])
    assert {one.kind for one in rendered.objects} == {"seg", "sr", "sc"}
    assert rendered.choices == ()
    assert not any(one.destinations for one in rendered.objects)
