"""A tuned network says what it said before, and where it can't be compiled it runs all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from dicom_node.models import tuned
from tests.conftest import CHECKOUT


def network(dims: int) -> torch.nn.Module:
    torch.manual_seed(0)
    kind = torch.nn.Conv2d if dims == 2 else torch.nn.Conv3d
    return torch.nn.Sequential(kind(1, 8, 3, padding=1), torch.nn.ReLU(), kind(8, 2, 3)).eval()


@pytest.mark.parametrize("dims", [2, 3])
def test_another_layout_gives_the_same(dims: int) -> None:
    image = torch.randn(1, 1, *[12] * dims)
    with torch.no_grad():
        expected = network(dims)(image)
        other = tuned(network(dims), channels_last=True)
        assert not other[2].weight.is_contiguous(), "its weights are laid out anew"
        torch.testing.assert_close(other(image), expected, rtol=1e-5, atol=1e-6)


NO_COMPILER = """
import torch
import torch._inductor.config as inductor
from dicom_node.models import tuned
from tests.models.test_tuned import network

inductor.cpp.cxx = ("no-such-compiler",)
image = torch.randn(1, 1, 12, 12)
with torch.no_grad():
    one = tuned(network(2), compiled=True)
    for _ in range(2):
        torch.testing.assert_close(one(image), network(2)(image))
"""


def test_without_a_compiler_it_runs_uncompiled_and_says_so_once() -> None:
    """In a process of its own: what torch compiles it keeps."""
    done = subprocess.run(
        [sys.executable, "-c", NO_COMPILER], capture_output=True, text=True, check=True, cwd=CHECKOUT
    )
    assert (done.stdout + done.stderr).count("network_not_compiled") == 1
