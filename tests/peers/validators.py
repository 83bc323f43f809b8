"""Programs that judge or read DICOM objects, and know nothing of how they were made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.peers.process import missing, need, need_script

PIXELMED = Path("/usr/share/java/pixelmed.jar")
UNLIMITED_XPATH = ("xpathExprOpLimit", "xpathTotalOpLimit", "xpathExprGrpLimit")
"""Java's XML parser limits that PixelMed's TID 1500 rules exceed."""


@dataclass(frozen=True, slots=True)
class ReadSegment:
    """One segment of a SEG as dcmqi reads it.

    Attributes:
        mask: (k, j, i) bool.
        affine: 4x4; maps (k, j, i, 1) to (x, y, z, 1) in LPS millimetres.
    """

    number: int
    label: str
    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]


def dciodvfy(path: Path) -> list[str]:
    """The errors that dicom3tools' dciodvfy finds in one object (IOD, modules, attributes, references)."""
    return _errors(_run([need_script("dciodvfy"), "-new", path]))


def dcentvfy(paths: Sequence[Path]) -> list[str]:
    """The errors that dicom3tools' dcentvfy finds across objects: patient, study, series, references.

    An object may refer only to objects that are among the paths, so give it the source images too.
    """
    return _errors(_run([need_script("dcentvfy"), *paths]))


def pixelmed_sr(path: Path) -> list[str]:
    """The errors that PixelMed's DicomSRValidator finds in a report: templates, coding schemes."""
    java = need("java")
    if not PIXELMED.exists():
        missing("libpixelmed-java is not installed; `sudo make peers` installs the peers")
    limits = [f"-Djdk.xml.{name}=0" for name in UNLIMITED_XPATH]
    return _errors(_run([java, *limits, "-cp", PIXELMED, "com.pixelmed.validate.DicomSRValidator", path]))


def segimage2itkimage(path: Path, folder: Path) -> list[ReadSegment]:
    """The segments of a SEG as dcmqi reads them, by number. Raises ValueError with its words on failure."""
    import SimpleITK  # heavy, and needed here alone

    reader = need_script("segimage2itkimage")
    output = _run([reader, "--inputDICOM", path, "--outputDirectory", folder, "-p", "seg"])
    described = folder / "seg-meta.json"
    if not described.exists():
        raise ValueError(output)
    labels = {
        attributes["labelID"]: attributes.get("SegmentLabel", "")
        for group in json.loads(described.read_text())["segmentAttributes"]
        for attributes in group
    }
    segments = []
    for number, label in sorted(labels.items()):
        image = SimpleITK.ReadImage(str(folder / f"seg-{number}.nrrd"))
        mask = SimpleITK.GetArrayFromImage(image) > 0
        segments.append(ReadSegment(number, label, mask, _affine(image)))
    return segments


def tid1500reader(path: Path, folder: Path) -> list[dict[str, Any]]:
    """The measurement groups of a TID 1500 report as dcmqi reads them. Raises ValueError on failure."""
    target = folder / "tid1500.json"
    output = _run([need_script("tid1500reader"), "--inputDICOM", path, "--outputMetadata", target])
    report = json.loads(target.read_text()) if target.exists() else {}
    if "Measurements" not in report:
        raise ValueError(output)
    return list(report["Measurements"])


def _affine(image: Any) -> NDArray[np.float64]:
    """ITK counts (i, j, k) in LPS; the project's arrays count (k, j, i)."""
    directions = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3] = directions[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


def _errors(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("Error")]


def _run(command: Sequence[object]) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=180,
    )
    return done.stdout.decode(errors="replace")
