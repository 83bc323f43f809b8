"""What every test may ask for: real data, and strict settings."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pydicom
import pytest

from dicom_node.phantom import axial_grid, write_series
from tests.peers import Orthanc

CHECKOUT = Path(__file__).resolve().parent.parent

os.environ.pop("COLUMNS", None)  # a test runner's; tests of commands say how wide a terminal they want
pydicom.config.INVALID_KEYWORD_BEHAVIOR = "RAISE"

hypothesis.settings.register_profile("default", max_examples=50, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
hypothesis.settings.register_profile("soak", max_examples=5000, deadline=None)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "default")
)


def pytest_configure() -> None:
    """SIGTERM ends a run as Ctrl-C does: fixtures are torn down, and no peer is left running."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def _folder(variable: str, beside: Path) -> Path:
    """The folder that an environment variable names, or the one beside the checkout, or a skip."""
    folder = Path(os.environ.get(variable) or CHECKOUT.parent / beside)
    if not folder.is_dir():
        pytest.skip(f"no real data: {variable} names no folder, and ../{beside} is not there")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real series, or a skip."""
    return _folder("DICOM_NODE_TEST_DATA", Path("shared/data"))


@pytest.fixture(scope="session")
def shared_bundles() -> Path:
    """The folder of MONAI bundles, or a skip."""
    return _folder("DICOM_NODE_TEST_BUNDLES", Path("shared/bundles"))


@pytest.fixture(scope="session")
def gunzipped(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Gives a folder's DICOM files as plain files: `gunzipped(shared_data / "mr_head_t1w_philips")`.

    Files named *.gz lose their ending and are unpacked, once a session; others are copied as they are.
    """
    done: dict[Path, Path] = {}

    def unpack(folder: Path) -> Path:
        if folder not in done:
            target = tmp_path_factory.mktemp(folder.name)
            for file in sorted(path for path in folder.iterdir() if path.is_file()):
                if file.suffix == ".gz":
                    (target / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
                else:
                    shutil.copy(file, target)
            done[folder] = target
        return done[folder]

    return unpack


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """A PACS of the test's own: an Orthanc that starts empty."""
    with Orthanc(tmp_path / "orthanc") as pacs:
        yield pacs


@pytest.fixture(scope="session")
def small_ct(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A sound CT of four small slices with a piece of bone; its first voxel lies at (-10, -20, 30)."""
    grid = axial_grid((4, 16, 24), (2.0, 0.5, 0.75), centre=(-1.375, -16.25, 33.0))
    array = np.full(grid.shape, 40.0)
    array[1:3, 4:8, 6:12] = 700.0
    return write_series(array, grid, tmp_path_factory.mktemp("small_ct"), "CT")
