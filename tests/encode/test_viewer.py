"""Results in OHIF on Orthanc: the colours at known places of the patient, and the values in the page.

Screenshots are kept in the folder `screenshots`, to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from dicom_node.deliver.probe import RESULT_SYNTAXES
from dicom_node.encode import EncodeContext, EncodedObject, encode, measured, to_bytes
from dicom_node.encode.compression import compressed
from dicom_node.encode.outlines import key_slice
from dicom_node.findings import Finding, Measurement, Segmentation
from dicom_node.headers import plain, read_header
from dicom_node.phantom import chest, write_series
from dicom_node.pipeline import Case, Input
from dicom_node.records import Measured
from dicom_node.volume import read_volume
from pipelines.ct_lung import CtLung
from tests.conftest import CHECKOUT
from tests.encode.cases import Worked, context_of
from tests.encode.viewer import ORTHANC_OPTIONS, Viewer, chromium, hue, hues, pages, upload
from tests.peers.orthanc import Orthanc

SHOTS = CHECKOUT / "screenshots"
FORMS = frozenset({"seg", "labelmap", "sr", "sc", "rtstruct", "pdf"})

pytestmark = [pytest.mark.slow, pytest.mark.journey, pytest.mark.timeout(900)]


@dataclass
class Shown:
    """A study in the viewer."""

    browser: Any
    address: str
    case: Worked
    objects: dict[str, EncodedObject]

    def open(self, form: str) -> Viewer:
        page = self.browser.new_page(viewport={"width": 1280, "height": 800})
        viewer = Viewer(page, self.address, str(self.case.headers[0].StudyInstanceUID))
        asks = form in ("seg", "labelmap", "rtstruct")
        viewer.load(int(self.objects[form].ds.SeriesNumber), asks=asks)
        return viewer


def source(folder: Path, shared: Path) -> list[Path]:
    """The real chest CT where there is one, else the phantom."""
    real = sorted((shared / "ct_chest_cmb_crc").glob("*.dcm"))
    if real:
        return real
    array, grid, _ = chest()
    return write_series(array, grid, folder, "CT")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("viewer")
    paths = source(folder, CHECKOUT.parent / "shared" / "data")
    headers, volume = [read_header(path) for path in paths], read_volume(paths)
    findings: list[Finding] = list(CtLung().run(Case({"image": Input(volume, plain(headers[0]))})))
    context = replace(context_of(headers, volume, outputs=FORMS), algorithm=CtLung().algorithm)
    context = replace(context, earlier=a_year_before(findings, context))
    case = Worked(paths, headers, volume, findings, context)
    objects = [compressed(one, RESULT_SYNTAXES) for one in encode(findings, case.context)]
    with (
        Orthanc(folder / "orthanc", options=ORTHANC_OPTIONS) as orthanc,
        pages(orthanc) as address,
        chromium() as browser,
    ):
        upload(orthanc, [path.read_bytes() for path in paths])
        upload(orthanc, [to_bytes(obj) for obj in objects])
        yield Shown(browser, address, case, {obj.kind: obj for obj in reversed(objects)} | trend_of(objects))


def a_year_before(findings: list[Finding], context: EncodeContext) -> tuple[Measured, ...]:
    """Values of an earlier study: what stands beside the new ones must not take their place in the page."""
    day = str(int(str(context.principal.get("StudyDate"))[:4]) - 1) + "0101"
    values = measured(findings, context)
    return tuple(
        replace(one, study_instance_uid="2.25.1", study_date=day, value=one.value * 0.9) for one in values
    )


def trend_of(objects: list[EncodedObject]) -> dict[str, EncodedObject]:
    """The page of trends, which is a picture too."""
    return {"trend": next(one for one in objects if one.description.endswith("(AI trend)"))}


def depths(case: Worked) -> dict[int, np.ndarray]:
    """The deepest point of each lung, in patient millimetres: far from any edge."""
    found = {}
    for number in (1, 2):
        inside = ndimage.distance_transform_edt(case.mask.mask(number), sampling=case.volume.grid.spacing)
        deepest = np.unravel_index(int(np.argmax(inside)), inside.shape)
        found[number] = case.volume.grid.to_patient(np.array(deepest, dtype=float))
    return found


def outside(case: Worked, k: int) -> np.ndarray:
    """The point of a slice that is farthest from both lungs, within the middle of the image."""
    distance = ndimage.distance_transform_edt(case.mask.array[k] == 0)
    rows, columns = distance.shape
    middle = np.zeros_like(distance)
    middle[rows // 4 : -rows // 4, columns // 3 : -columns // 3] = 1
    at = np.unravel_index(int(np.argmax(distance * middle)), distance.shape)
    return case.volume.grid.to_patient(np.array([k, *at], dtype=float))


def wanted(case: Worked) -> dict[int, str]:
    from dicom_node.encode.segments import color_of

    return {n: hue(color_of(one, n)) for n, one in enumerate(case.mask.segments, start=1)}


@pytest.mark.parametrize("form", ["seg", "labelmap"])
def test_segmentations_lie_on_the_lungs(shown: Shown, form: str) -> None:
    viewer = shown.open(form)
    for number, place in depths(shown.case).items():
        viewer.goto(place)
        picture = viewer.shot(SHOTS / f"{form}-{number}.png")
        assert hues(picture, viewer.at(place)) == {wanted(shown.case)[number]}
        k = int(np.rint(shown.case.volume.grid.to_index(place)[0]))
        assert hues(picture, viewer.at(outside(shown.case, k))) == {"grey"}
    assert viewer.segments() >= {segment.label for segment in shown.case.mask.segments}
    viewer.page.close()


def test_contours_lie_on_the_edges(shown: Shown) -> None:
    viewer = shown.open("rtstruct")
    mask, grid = shown.case.mask, shown.case.volume.grid
    for number, place in depths(shown.case).items():
        k, row, _ = (int(value) for value in np.rint(grid.to_index(place)))
        columns = np.flatnonzero(mask.mask(number)[k, row])
        viewer.goto(place)
        picture = viewer.shot(SHOTS / f"rtstruct-{number}.png")
        edge = grid.to_patient(np.array([k, row, columns[0] - 0.5]))
        assert wanted(shown.case)[number] in hues(picture, viewer.at(edge), reach=3)
    viewer.page.close()


def test_the_report_shows_its_values(shown: Shown) -> None:
    viewer = shown.open("sr")
    viewer.page.wait_for_timeout(2000)
    assert viewer.shown
    measured = [one for one in shown.case.findings if isinstance(one, Measurement)]
    for number, segment in enumerate(shown.case.mask.segments, start=1):
        k = key_slice(shown.case.mask, number)
        viewer.goto(shown.case.volume.grid.to_patient(np.array([k, 0, 0], dtype=float)))
        viewer.shot(SHOTS / f"sr-{number}.png")
        volume = next(one for one in measured if one.segment == segment.label)
        assert f"{volume.name.meaning}: {volume.value:.{volume.digits}f}" in viewer.words()
    viewer.page.close()


def test_the_picture_is_shown_in_color(shown: Shown) -> None:
    viewer = shown.open("sc")
    picture = viewer.shot(SHOTS / "sc.png")
    assert viewer.shown
    seen = [
        hue(pixel) for pixel in picture.crop((300, 100, 1000, 750)).resize((200, 200)).get_flattened_data()
    ]
    for color in wanted(shown.case).values():
        assert seen.count(color) > 50
    viewer.page.close()


def test_the_trend_is_shown(shown: Shown) -> None:
    viewer = shown.open("trend")
    picture = viewer.shot(SHOTS / "trend.png")
    assert viewer.shown
    page = np.asarray(picture.convert("RGB").crop((300, 180, 1200, 750))).astype(int)
    amber = np.abs(page - (255, 190, 40)).max(axis=-1) <= 40
    assert amber.sum() > 100, "this study's values stand out"
    viewer.page.close()


def test_the_document_is_shown(shown: Shown) -> None:
    """The browser draws it as a picture, so what is seen is a white page, its colours, and its margins."""
    viewer = shown.open("pdf")
    viewer.page.wait_for_timeout(4000)  # the browser's own PDF viewer draws when it likes
    picture = viewer.shot(SHOTS / "pdf.png")
    viewer.page.close()
    pixels = np.asarray(picture).astype(int)
    white = (pixels > 250).all(axis=-1)
    columns = np.flatnonzero(white.mean(axis=0) > 0.25)
    page = pixels[110:780, columns[0] : columns[-1] + 1]
    assert page.shape[1] > 500, "a page is shown"
    margin = page[:, -page.shape[1] // 20 :]
    assert (margin > 250).all(), "nothing runs over the margin"
    names = {hue(tuple(pixel)) for pixel in page[180:260, 40:100].reshape(-1, 3)}
    assert names >= set(wanted(shown.case).values()), "each lung has its colour in the legend"
    assert (page[:200].max(axis=-1) < 90).sum() > 500, "there are words"


def test_the_masks_are_those_of_the_pipeline(shown: Shown) -> None:
    assert isinstance(shown.case.mask, Segmentation)
    assert len(shown.case.mask.segments) == 2
