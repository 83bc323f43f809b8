"""Private elements, under names that hold whatever block a file uses, and rules over them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.uid import MRImageStorage, generate_uid

from dicom_node.config import RouteConfig
from dicom_node.headers import read_header
from dicom_node.private import private_values
from dicom_node.records import SeriesFacts
from dicom_node.route import match

CREATOR = "ACME 1.1 (beta)"


def _dataset(first_block: int) -> Dataset:
    """A data set whose private block is where earlier blocks have left room."""
    ds = Dataset()
    for number in range(first_block):
        ds.private_block(0x0019, f"OTHER {number}", create=True)
    block = ds.private_block(0x0019, CREATOR, create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0D, "LO", ["a", "b"])
    block.add_new(0x0E, "OB", b"\0" * 8)
    block.add_new(0x0F, "UN", b"\1\2")
    block.add_new(0x10, "LT", "x" * 100)
    block.add_new(0x11, "SQ", [Dataset()])
    block.add_new(0x12, "DS", [])
    block.add_new(0x13, "FD", [0.5] * 40)
    return ds


@pytest.mark.parametrize("first_block", [0, 3])
def test_names_do_not_depend_on_the_block(first_block: int) -> None:
    assert private_values(_dataset(first_block)) == {
        f"(0019,xx0C,{CREATOR})": 1000,
        f"(0019,xx0D,{CREATOR})": ["a", "b"],
    }


def test_what_cannot_be_converted_is_left_as_text(tmp_path: Path) -> None:
    ds = _dataset(0)
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, generate_uid()
    path = tmp_path / "odd.dcm"
    dcmwrite(path, ds, implicit_vr=False, little_endian=True)
    path.write_bytes(path.read_bytes().replace(b"IS\x04\x001000", b"IS\x04\x00x\xff!0"))
    assert private_values(read_header(path)) == {
        f"(0019,xx0C,{CREATOR})": "xÿ!0",
        f"(0019,xx0D,{CREATOR})": ["a", "b"],
    }


@pytest.mark.parametrize("name", [f"(0019,xx0C,{CREATOR})", "(0019,100C)", "(0019,xx0c,ACME 1.1 (beta))"])
def test_rules_see_them(name: str) -> None:
    route = RouteConfig.model_validate({"name": "r", "run": "p", "when": {name: {"min": 900}}})
    facts = SeriesFacts("1", "2", private_values(_dataset(2)), 1, 1)
    assert [one.matched for one in match(facts, [route])] == [True]


def test_a_real_scanners(shared_data: Path, gunzipped: Callable[[Path], Path]) -> None:
    folder = gunzipped(shared_data / "mr_head_t1w_philips")
    values = private_values(read_header(min(folder.iterdir())))
    assert values["(2001,xx20,Philips Imaging DD 001)"] == "T1TFE"
