"""Every form from real images, as programs that nobody here wrote judge and read it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from scipy import ndimage

from dicom_node.encode import EncodedObject, encode, encode_no_result
from dicom_node.encode.dispatch import FORMS
from dicom_node.findings import (
    Classification,
    Code,
    Finding,
    Heatmap,
    Measurement,
    Segment,
    Segmentation,
    Text,
)
from dicom_node.geometry import Grid
from dicom_node.headers import plain, read_header
from dicom_node.phantom import write_series
from dicom_node.pipeline import Case, Input
from dicom_node.volume import read_volume
from pipelines.ct_lung import CtLung
from pipelines.monai_bundle import BundleOptions, MonaiBundle
from pipelines.mr_brain import MrBrain
from tests.encode.cases import ANATOMY, LUNG, ML, VOLUME, Worked, context_of
from tests.encode.test_seg import assert_same_places
from tests.encode.test_valid import write_valid
from tests.peers import dsrdump, tid1500reader
from tests.peers.validators import pixelmed_sr

pytestmark = pytest.mark.slow
PIXELMED_BASELINE = "Missing conditional content item"
"""Said of every report: PixelMed takes each alternative of a template as required."""


@dataclass
class Made:
    """All forms of what was found in a real series, and their files."""

    case: Worked
    objects: list[EncodedObject]
    files: dict[str, Path]

    def read(self, kind: str) -> Dataset:
        return pydicom.dcmread(self.files[kind])


def found_by(pipeline: Any, paths: list[Path]) -> Worked:
    """What a pipeline finds in a series, as the node would run it."""
    headers, volume = [read_header(path) for path in paths], read_volume(paths)
    findings = list(pipeline.run(Case({"image": Input(volume, plain(headers[0]))})))
    context = context_of(headers, volume, title=pipeline.title)
    return Worked(paths, headers, volume, findings, replace(context, algorithm=pipeline.algorithm))


def bright(path: Path) -> Worked:
    """The bright half of a multi-frame image, in two pieces, with its volume."""
    headers, volume = [read_header(path)], read_volume([path])
    mask = (volume.array > np.percentile(volume.array, 60)).astype(np.uint8)
    mask[:, :, volume.array.shape[2] // 2 :] *= 2
    pieces = tuple(Segment(name, ANATOMY, LUNG) for name in ("Right part", "Left part"))
    ml = float((mask > 0).sum()) * volume.grid.voxel_ml
    findings: list[Finding] = [Segmentation(mask, pieces), Measurement(VOLUME, ml, ML)]
    return Worked([path], headers, volume, findings, context_of(headers, volume))


def with_more(case: Worked) -> list[Finding]:
    """The findings with a heat map, a judgement and a draft, so that every form has something to show."""
    inside = ndimage.gaussian_filter(case.mask.mask(1).astype(np.float32), 1)
    present = Code("52101004", "SCT", "Present")
    return [
        *case.findings,
        Heatmap(np.clip(inside, 0, 1), "Where the model looked"),
        Classification(Code("404684003", "SCT", "Finding"), present, 0.87, support="one slice of ten"),
        Text((("A drafted sentence.", None),)),
    ]


Ask = Callable[[str], Any]
"""Gives what a fixture of that name gives."""


def real_chest(ask: Ask, _folder: Path) -> Worked:
    return found_by(CtLung(), sorted((ask("shared_data") / "ct_chest_cmb_crc").glob("*.dcm")))


def real_head(ask: Ask, _folder: Path) -> Worked:
    folder = ask("gunzipped")(ask("shared_data") / "mr_head_t1w_philips")
    return found_by(MrBrain(), sorted(folder.iterdir()))


def bundle(ask: Ask, folder: Path) -> Worked:
    """What the real bundle finds in the slices of a real head (Colin27) that hold its structures."""
    image = nibabel.load(ask("shared_data") / "labelled" / "colin27" / "ch2.nii.gz")
    affine = (np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)[:, [2, 1, 0, 3]]  # RAS to LPS; (k, j, i)
    first, last = 36, 100
    array = np.asarray(image.dataobj).transpose(2, 1, 0)[first:last]
    affine[:3, 3] += first * affine[:3, 0]
    paths = write_series(array, Grid(array.shape, affine), folder / "colin27", "MR")
    model = str(ask("shared_bundles") / "brain_structures")
    made = MonaiBundle(BundleOptions(model=model, allow_pickle=True))
    made.load("cpu")
    return found_by(made, paths)


def perfusion(ask: Ask, folder: Path) -> Worked:
    path = folder / "philips.dcm"
    packed = (ask("shared_data") / "enhanced_multiframe" / "1901_WIP_3DpCASL_real.dcm.gz").read_bytes()
    path.write_bytes(gzip.decompress(packed))
    return bright(path)


def siemens_enhanced(ask: Ask, _folder: Path) -> Worked:
    return bright(ask("shared_data") / "enhanced_multiframe" / "6_1.dcm")


def enhanced_ct(ask: Ask, _folder: Path) -> Worked:
    return bright(ask("shared_data") / "enhanced_multiframe" / "eCT_Supplemental.dcm")


SLOW_BUNDLE = pytest.param(bundle, marks=pytest.mark.soak)
CASES = (real_chest, real_head, SLOW_BUNDLE, perfusion, siemens_enhanced, enhanced_ct)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.__name__)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("real")
    return forms_of(request.param(request.getfixturevalue, folder), folder)


def forms_of(case: Worked, folder: Path) -> Made:
    """All forms of a case, and the notices that there is no result, each past its own validator."""
    context = replace(case.context, outputs=FORMS)
    objects = encode(with_more(case), context)
    notices = encode_no_result("the series is too short", context)
    written = write_valid([*objects, *notices], case.paths, folder)
    files = {one.kind: path for one, path in zip(objects, written, strict=False)}
    return Made(case, objects, files)


def test_every_form_is_made_and_valid(made: Made) -> None:
    assert set(made.files) == FORMS


def test_dcmqi_gives_the_masks_back_at_the_same_positions(made: Made, tmp_path: Path) -> None:
    assert_same_places(made.files["seg"], made.case.mask, made.case.volume, tmp_path)


@pytest.mark.parametrize("made", [SLOW_BUNDLE], indirect=True)
def test_the_bundle_finds_every_structure_on_both_sides(made: Made) -> None:
    mask, grid = made.case.mask, made.case.volume.grid
    assert len(mask.segments) == 17
    for number, segment in enumerate(mask.segments, start=1):
        x = grid.to_patient(np.argwhere(mask.mask(number)).astype(float))[:, 0]
        assert len(x) > 500, segment.label
        assert min((x < 0).mean(), (x > 0).mean()) > 0.2, segment.label


@pytest.mark.parametrize("form", ["labelmap", "fractional", "pm"])
def test_each_frame_lies_where_it_says(made: Made, form: str) -> None:
    ds, mask, grid = made.read(form), made.case.mask, made.case.volume.grid
    pixels = ds.pixel_array
    heat = next(one for one in with_more(made.case) if isinstance(one, Heatmap))
    seen = 0
    for number, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        k, row, column = grid.to_index(place)
        assert np.abs([k - round(k), row, column]).max() < 0.01
        shown = pixels[number] if pixels.ndim == 3 else pixels
        if form == "labelmap":
            np.testing.assert_array_equal(shown, mask.array[round(k)])
        elif form == "fractional":
            segment = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            np.testing.assert_array_equal(shown > 0, mask.mask(segment)[round(k)])
        else:
            np.testing.assert_allclose(shown, heat.array[round(k)], atol=1e-6)
        seen += 1
    assert seen


@pytest.mark.parametrize("form", ["sr", "sr-comprehensive"])
def test_others_read_the_report(made: Made, form: str, tmp_path: Path) -> None:
    path = made.files[form]
    assert "Imaging Measurement Report" in dsrdump(path)
    read = {
        float(item["value"])
        for group in tid1500reader(path, tmp_path)
        for item in group.get("measurementItems", [])
    }
    for finding in made.case.findings:
        if isinstance(finding, Measurement):
            rounded = pytest.approx(finding.value, abs=0.51 * 10.0**-finding.digits)
            assert any(value == rounded for value in read), finding.name


@pytest.mark.parametrize("made", [real_chest], indirect=True)
def test_pixelmed_adds_nothing_to_its_baseline(made: Made) -> None:
    """Java takes most of a minute for a report: one here, all of them in the soak."""
    assert beyond_baseline(made.files["sr"]) == []


@pytest.mark.soak
@pytest.mark.parametrize("form", ["sr", "sr-comprehensive"])
def test_pixelmed_adds_nothing_to_its_baseline_for_any_report(made: Made, form: str) -> None:
    assert beyond_baseline(made.files[form]) == []


def beyond_baseline(path: Path) -> list[str]:
    """What PixelMed says of a report beyond what it says of every one."""
    return [line for line in pixelmed_sr(path) if PIXELMED_BASELINE not in line]


def test_pictures_show_the_images_and_the_outlines(made: Made) -> None:
    for form in ("sc", "key", "heat"):
        pixels = made.read(form).pixel_array
        assert pixels.shape[-1] == 3
        assert (np.ptp(pixels.astype(int), axis=-1) > 60).any(), form
