"""`dicom-node explain` on every folder of real test data: a right answer that can be read."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dicom_node.config import Config, load
from dicom_node.errors import Permanent
from dicom_node.node.explaining import explain_folder

RULES = """
pipelines:
  lung: {use: "pipelines.ct_lung:CtLung"}
  brain: {use: "pipelines.mr_brain:MrBrain"}
routes:
  - name: chest
    when:
      {modality: CT, body_part: chest, plane: axial, localizer: false, secondary: false, frames: {min: 30}}
    run: lung
  - name: head
    when: {modality: MR, kind: t1w, localizer: false, frames: {min: 60}}
    run: brain
"""
EXPECTED: dict[str, dict[str, tuple[str, ...]]] = {
    "ct_chest_cmb_crc": {
        "CT 3 lung (100 images)": (
            "kernel: lung", "body_part: chest", "plane: axial", "contrast: yes", "coverage_mm: 250",
            "whole: 100 slices at even distances", "✓ route chest runs", "✗ route head does not run",
        ),
    },
    "ct_head_ge_tilt_varspacing": {
        "CT 2 (28 images)": ("body_part: head", "plane: axial", "too unsure for rules", "✗ route chest"),
    },
    "ct_study_localizer_sc_dose": {
        "CT 100 (1 image)": ("localizer: yes", "phase: native", "✗ route chest"),
        "CT 201 STD BRAIN 5MM (1 image)": ("body_part: head", "kernel: soft", "slices: 1", "✗ route chest"),
        "CT 401 Exam Summary (3 images)": ("dose_report: yes", "secondary: yes", "derived: yes"),
    },
    "cxr": {
        "CR 1 view: AP (1 image)": ("body_part: chest", "its only image states no position"),
        "CR 1 (1 image)": ("derived: yes", "age: 64"),
        "": ("no DICOM image or object (1 .png)",),
    },
    "dicomdir": {
        "CR 1 Cervical LAT (1 image)": ("body_part: spine", "age: 47"),
        "CT 2 Routine Brain (4 images)": ("body_part: head", "plane: axial"),
        "CT 4 Scout (2 images)": ("localizer: yes",),
        "CT 5 SmartScore - Gated 0.5 sec (5 images)": ("body_part: heart", "slice_mm: 2.5"),
        "MR 1 FAST LOCALIZER (1 image)": ("localizer: yes",),
        "MR 2 T/S/C RF FAST PILOT (3 images)": ("localizer: yes",),
        "MR 700 ANGIO Projected from   C (7 images)": ("derived: yes", "no proof that it is whole: 7 of 12"),
    },
    "enhanced_multiframe": {
        "MR 6 REST1 w SMS PF7-8 (1 image, 6 frames)": ("kind: bold", "body_part: head", "plane: axial"),
        "MR 301 (5 images, 50 frames)": ("kind: t1w", "50 frames in 5 multi-frame objects"),
    },
    "malformed": {
        "RTPLAN 1 (2 objects)": ("its objects are no images",),
        "CR 1 Chest PA PA (1 image)": ("body_part: chest",),
        "SR 1 IHE Year 2 - Simple Image Report (1 object)": ("its objects are no images",),
    },
    "mr_decubitus_HFDR": {
        "MR 2 t1_fl2d_sag (4 images)": ("kind: t1w", "plane: sagittal", "body_part: head", "slice_mm: 4.8"),
    },
    "mr_head_t1w_philips": {
        "MR 1301 ADNI_Sag3D MPRAGE (170 images)": ("kind: t1w", "plane: sagittal", "✓ route head runs"),
    },
    "odd_geometry_noise": {"MR 202 (4 images)": ("plane: sagittal (50% sure", "too unsure for rules")},
    "seg_sr_rt": {
        "CT 2 (3 images)": ("body_part: abdomen", "plane: axial"),
        "SEG 300 Segmentation 24x38x3 (1 image, 3 frames)": ("modality: SEG", "derived: yes", "plane: axial"),
        "RTSTRUCT 1 (2 objects)": ("its objects are no images",),
    },
    "transfer_syntaxes": {
        "MR 1 ax_asc_35sl (9 images)": ("kind: bold", "plane: axial"),
        "NM 1 (3 images)": ("body_part: whole_body", "secondary: yes"),
    },
    "us": {"US 1 (1 image, 30 frames)": ("modality: US", "30 frames in 1 multi-frame object")},
}  # fmt: skip
"""What a person says of each folder: of some of its series, by title, words of their explanation."""
WITHOUT_DICOM = {"LICENSES": "files are no DICOM", "labelled": "nrrd"}
_LINE = re.compile(
    r"^(  series [0-9.]+|  series \S+"
    r"|  \w+: .+ \(.+\)( — too unsure for rules)?"
    r"|  (whole|no proof that it is whole): .+"
    r"|  [✓✗] route \w+ (runs|does not run)(: .+)?"
    r"|( {4,})[✓✗] .+)$"
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("rules") / "conf.yaml"
    path.write_text(RULES)
    return load(path)


def unpacked(folder: Path, target: Path) -> Path:
    """The folder's files, those that are packed unpacked."""
    for number, path in enumerate(sorted(one for one in folder.rglob("*") if one.is_file())):
        place = target / f"{number}-{path.name.removesuffix('.gz')}"
        content = path.read_bytes()
        place.write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
    return target


def told(texts: Iterator[str]) -> dict[str, str]:
    """Explanations by title; what is said of other files under an empty one."""
    by_title: dict[str, str] = {}
    for text in texts:
        title, _, rest = text.partition("\n")
        by_title[title if rest else ""] = by_title.get(title, "") + (rest or text)
    return by_title


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_folder_is_explained(shared_data: Path, tmp_path: Path, rules: Config, name: str) -> None:
    explained = told(explain_folder(unpacked(shared_data / name, tmp_path), rules))
    for title, words in EXPECTED[name].items():
        assert title in explained, sorted(explained)
        for word in words:
            assert word in explained[title], explained[title]
    for title, text in explained.items():
        unread = [line for line in text.splitlines() if title and not _LINE.match(line)]
        assert unread == [], title
        assert not re.search(r"\bNone\b|\[|<class", f"{title}\n{text}"), text


def test_no_folder_is_left_out(shared_data: Path) -> None:
    folders = {path.name for path in shared_data.iterdir() if path.is_dir()}
    assert folders == EXPECTED.keys() | WITHOUT_DICOM.keys()


@pytest.mark.parametrize("name", sorted(WITHOUT_DICOM))
def test_a_folder_without_dicom_is_told_with_what_it_holds(
    shared_data: Path, rules: Config, name: str
) -> None:
    with pytest.raises(Permanent, match=f"no DICOM series under .*{WITHOUT_DICOM[name]}"):
        list(explain_folder(shared_data / name, rules))


def test_archives_are_to_be_unpacked(tmp_path: Path, rules: Config) -> None:
    (tmp_path / "1.dcm.gz").write_bytes(gzip.compress(b"DICM"))
    (tmp_path / "README").write_text("see the archive")
    with pytest.raises(Permanent, match=r"2 files are no DICOM .*1 \.gz.*unpack the archives first"):
        list(explain_folder(tmp_path, rules))
