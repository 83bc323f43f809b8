"""One small worked series for all tests of encoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.encode.cases import Worked, worked


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Worked:
    folder: Path = tmp_path_factory.mktemp("small")
    return worked(folder)
