"""Segmentations of 512 x 512 x 300: seconds to build and save, and megabytes, against highdicom and dcmqi."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import highdicom
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.sr.coding import Code as PydicomCode
from pydicom.uid import generate_uid

from bench.harness import OURS, Case, Subject, Unavailable, main
from dicom_node.encode import EncodeContext, check, to_bytes
from dicom_node.encode.seg import segmentation
from dicom_node.findings import Algorithm, Code, Segment, Segmentation
from dicom_node.headers import read_header
from dicom_node.phantom import axial_grid, write_series
from dicom_node.volume import read_volume

ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
ORGAN = Code("39607008", "SCT", "Lung")


@dataclass(frozen=True)
class Work:
    """What every subject is given: the source series on disk and in memory, and a label map on it."""

    folder: Path
    images: Sequence[Dataset]
    labels: NDArray[np.uint8]
    context: EncodeContext

    @property
    def segments(self) -> int:
        """Their number."""
        return int(self.labels.max())

    @property
    def finding(self) -> Segmentation:
        """The label map as a pipeline returns it."""
        segments = tuple(Segment(f"Structure {n}", ANATOMY, ORGAN) for n in range(1, self.segments + 1))
        return Segmentation(self.labels, segments)


def ellipsoids(shape: tuple[int, int, int], count: int) -> NDArray[np.uint8]:
    """A label map of ellipsoids of about 50 slices each, spread over a volume."""
    labels = np.zeros(shape, dtype=np.uint8)
    rng = np.random.default_rng(1)
    half = np.minimum(np.array([25, 30, 30]), np.array(shape) // 3)
    z, y, x = (np.arange(-size, size + 1) / size for size in half)
    ball = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 <= 1
    for number in range(1, count + 1):
        corner = [int(rng.integers(0, size - 2 * r - 1)) for size, r in zip(shape, half, strict=True)]
        box = tuple(slice(low, low + n) for low, n in zip(corner, ball.shape, strict=True))
        labels[box][ball] = number
    return labels


def work(folder: Path, shape: tuple[int, int, int], count: int) -> Work:
    source = folder / "source"
    if not source.exists():
        source.mkdir()
        write_series(np.zeros(shape, dtype=np.int16), axial_grid(shape, (1.0, 0.8, 0.8)), source, "CT")
    paths = sorted(source.iterdir())
    volume = read_volume(paths)
    context = EncodeContext(
        sources={"image": [read_header(path) for path in paths]},
        volumes={"image": volume},
        algorithm=Algorithm("bench", "1"),
        title="Bench",
        job_id="bench",
        revision=1,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    by_uid = {ds.SOPInstanceUID: ds for ds in (dcmread(path, stop_before_pixels=True) for path in paths)}
    images = [by_uid[frame.sop_instance_uid] for frame in volume.frames]
    return Work(folder, images, ellipsoids(shape, count), context)


def ours(given: Work) -> Path:
    target = given.folder / "ours.dcm"
    target.write_bytes(to_bytes(segmentation(given.finding, given.context)))
    return target


def with_highdicom(given: Work) -> Path:
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="bench", version="1", family=PydicomCode("123110", "DCM", "Artificial Intelligence")
    )
    descriptions = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"Structure {number}",
            segmented_property_category=PydicomCode(ANATOMY.value, ANATOMY.scheme, ANATOMY.meaning),
            segmented_property_type=PydicomCode(ORGAN.value, ORGAN.scheme, ORGAN.meaning),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number in range(1, given.segments + 1)
    ]
    made = highdicom.seg.Segmentation(
        given.images,
        given.labels,
        "BINARY",
        descriptions,
        series_instance_uid=generate_uid(),
        series_number=100,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="bench",
        manufacturer_model_name="bench",
        software_versions="1",
        device_serial_number="1",
    )
    target = given.folder / "highdicom.dcm"
    made.save_as(target)
    return target


def dcmqi_input(given: Work) -> list[str]:
    """The command line of itkimage2segimage, with its label map and description written beside it."""
    program = Path(sys.executable).with_name("itkimage2segimage")
    if not program.exists():
        raise Unavailable("PyPI's dcmqi is not installed")
    import SimpleITK

    image = SimpleITK.GetImageFromArray(given.labels)
    grid = given.context.volumes["image"].grid
    affine, spacing = grid.affine, grid.spacing
    image.SetSpacing([float(value) for value in spacing[::-1]])  # type: ignore[no-untyped-call]  # untyped
    image.SetOrigin([float(value) for value in affine[:3, 3]])  # type: ignore[no-untyped-call]  # untyped
    SimpleITK.WriteImage(image, str(given.folder / "labels.nrrd"), useCompression=False)
    (given.folder / "labels.json").write_text(json.dumps(dcmqi_description(given)))
    options = {
        "--inputImageList": "labels.nrrd",
        "--inputDICOMDirectory": "source",
        "--inputMetadata": "labels.json",
        "--outputDICOM": "dcmqi.dcm",
    }
    pairs = [(name, str(given.folder / value)) for name, value in options.items()]
    return [str(program), *(word for pair in pairs for word in pair)]


def dcmqi_description(given: Work) -> dict[str, object]:
    def code(one: Code) -> dict[str, str]:
        return {"CodeValue": one.value, "CodingSchemeDesignator": one.scheme, "CodeMeaning": one.meaning}

    attributes = [
        {
            "labelID": number,
            "SegmentDescription": f"Structure {number}",
            "SegmentLabel": f"Structure {number}",
            "SegmentAlgorithmType": "AUTOMATIC",
            "SegmentAlgorithmName": "bench",
            "SegmentedPropertyCategoryCodeSequence": code(ANATOMY),
            "SegmentedPropertyTypeCodeSequence": code(ORGAN),
        }
        for number in range(1, given.segments + 1)
    ]
    head = {"ContentCreatorName": "bench", "SeriesNumber": "100", "InstanceNumber": "1"}
    return {**head, "SeriesDescription": "bench", "segmentAttributes": [attributes]}


def timed(make: Callable[[], Path]) -> Subject:
    def seconds() -> float:
        start = time.perf_counter()
        make()
        return time.perf_counter() - start

    return seconds


def megabytes(make: Callable[[], Path]) -> Subject:
    """The size of what is made; made once, since it doesn't change."""
    sizes: list[float] = []

    def size() -> float:
        if not sizes:
            sizes.append(make().stat().st_size / 1e6)
        return sizes[0]

    return size


def dcmqi(given: Work) -> Callable[[], Path]:
    commands: list[list[str]] = []

    def prepare() -> None:
        if not commands:
            commands.append(dcmqi_input(given))

    def make() -> Path:
        prepare()
        subprocess.run(commands[0], check=True, capture_output=True)
        return given.folder / "dcmqi.dcm"

    try:
        prepare()
    except Unavailable as reason:
        missing = str(reason)

        def absent() -> Path:
            raise Unavailable(missing)

        return absent
    return make


def gate(given: Work) -> Callable[[], Path]:
    obj = segmentation(given.finding, given.context)

    def run() -> Path:
        check([obj], given.context, [given.finding])
        return given.folder

    return run


def cases(quick: bool) -> Iterator[Case]:
    shape = (40, 128, 128) if quick else (300, 512, 512)
    with tempfile.TemporaryDirectory() as name:
        for count in (104, 1):
            given = work(Path(name), shape, count)
            label = f"{count} segment{'s' if count > 1 else ''}"
            makers: dict[str, Callable[[], Path]] = {
                OURS: lambda given=given: ours(given),  # type: ignore[misc]  # mypy can't infer a default's type
                "highdicom": lambda given=given: with_highdicom(given),  # type: ignore[misc]
                "dcmqi": dcmqi(given),
            }
            timings = {subject: timed(make) for subject, make in makers.items()}
            yield Case(f"seconds {label}", "s", timings, "less")
            yield Case(f"seconds gate {label}", "s", {OURS: timed(gate(given))}, "less")
            if count > 1:
                sizes = {subject: megabytes(make) for subject, make in makers.items()}
                yield Case(f"MB {label}", "MB", sizes, "less")


if __name__ == "__main__":
    main(cases)
