"""docs/configuration.md and conf.yaml: every key is explained, every example loads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from dicom_node.config import Config, load
from dicom_node.config.facts import FACTS
from dicom_node.config.when import CHECKS, COMBINERS

CHECKOUT = Path(__file__).parents[2]
DOCS = (CHECKOUT / "docs" / "configuration.md").read_text(encoding="utf-8")

LESIONS = """
from dicom_node.pipeline import Pipeline

class Lesions(Pipeline):
    name, version, title, roles = "lesions", "1", "Lesions", ("t1", "flair")

    def run(self, case):
        return []
"""


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """Every model that a type is made of."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation)
    for part in get_args(kind):
        yield from _models(part)


def _part(section: str) -> str:
    """What the documentation says of a section."""
    found = re.search(rf"^## `{section}`.*?(?=^## |\Z)", DOCS, re.MULTILINE | re.DOTALL)
    assert found, f"docs/configuration.md says nothing of {section}"
    return found[0]


@pytest.mark.parametrize("section", list(Config.model_fields))
def test_every_key_is_explained_with_its_default(section: str) -> None:
    for model in _models(Config.model_fields[section].annotation):
        for key, field in model.model_fields.items():
            assert f"`{key}`" in _part(section), f"{section}.{key} is not explained"
            row = re.search(rf"^\| `{key}` \| (?P<default>[^|]*) \|", _part(section), re.MULTILINE)
            if row and isinstance(field.default, int | float | str) and not isinstance(field.default, bool):
                assert row["default"] in (
                    f"`{field.default}`",
                    f"`{field.default:g}`" if not isinstance(field.default, str) else "",
                )


def test_every_documented_key_exists() -> None:
    for section, field in Config.model_fields.items():
        known = {key for model in _models(field.annotation) for key in model.model_fields}
        for row in re.finditer(
            r"^\| ((?:`\w+`(?:, )?)+) \| [^|]* \| [^|]* \|$", _part(section), re.MULTILINE
        ):
            assert set(re.findall(r"`(\w+)`", row[1])) <= known, f"{section}: {row[1]}"


@pytest.mark.parametrize("name", [*FACTS, *CHECKS, *COMBINERS])
def test_the_rules_language_is_explained(name: str) -> None:
    assert re.search(rf"`{name}`", _part("routes"))
    for value in FACTS[name].values if name in FACTS else ():
        assert f"`{value}`" in _part("routes")


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL))
def test_every_example_loads(tmp_path: Path, example: str) -> None:
    (tmp_path / "conf.yaml").write_text(example, encoding="utf-8")
    if "run: lesions" in example:  # a pipeline of two series, which this repository hasn't got
        (tmp_path / "two_series.py").write_text(LESIONS)
        example += 'pipelines: {lesions: {use: "two_series:Lesions"}}\n'
        (tmp_path / "conf.yaml").write_text(example, encoding="utf-8")
    assert load(tmp_path / "conf.yaml", pipelines=True).pipelines


def test_the_repositorys_own_file_works_as_it_is() -> None:
    config = load(CHECKOUT / "conf.yaml", pipelines=True)
    assert config.node.data == CHECKOUT / "var"
    assert {route.run for route in config.routes} == set(config.pipelines) == {"brain", "lung"}
    assert all(route.send for route in config.routes)
