"""The repository itself: licences, pins, docstrings, and what must never be committed."""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from itertools import chain
from pathlib import Path

import pydicom
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.main import get_command

from dicom_node.cli.app import app
from dicom_node.config import load
from dicom_node.pipeline import Pipeline

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()

PERMISSIVE = {
    "0BSD",
    "3-Clause BSD License",
    "Apache 2.0 License",
    "Apache 2.0",
    "Apache License 2.0",
    "Apache Software License",
    "Apache",
    "Apache-2.0 WITH LLVM-exception",
    "Apache-2.0",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CNRI-Python",
    "ISC License (ISCL)",
    "MIT License",
    "MIT",
    "MIT-CMU",
    "PSF-2.0",
    "Python Software Foundation License",
    "Zlib",
}
WEAK_COPYLEFT = {
    "LGPL-3.0",
    "LGPL-3.0-only",
    "LGPL-3.0-or-later",
    "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)",
}
"""Bind changes to the package itself only; each is used unchanged, as a package that anybody can replace."""

FORBIDDEN_TEXT = re.compile(
    r"""
    /(?:work|root|tmp|Users|home)/[A-Za-z]          # a path of one machine
    | (?:extra-)?index[-_]url                       # where some machine gets its packages
    | https?://[^\s"')]*(?:/simple\b|\.whl\b)
    | https?://(?:registry|pypi|files\.pythonhosted)\b
    """,
    re.VERBOSE,
)


def requirements(name: str) -> dict[str, set[str]]:
    """Every installed distribution that one with all its extras needs, and the extras asked of each."""
    found: dict[str, set[str]] = {}
    owed = [(name, set(distribution(name).metadata.get_all("Provides-Extra", [])))]
    while owed:
        package, extras = owed.pop()
        if package in found and extras <= found[package]:
            continue
        found.setdefault(package, set()).update(extras)
        try:
            needs = map(Requirement, distribution(package).requires or [])
        except PackageNotFoundError:
            del found[package]
            continue
        active = {"", *extras}
        owed.extend(
            (canonicalize_name(need.name), set(need.extras))
            for need in needs
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in active)
        )
    return found


def licence(package: str) -> list[set[str]]:
    """What a distribution says of itself: all of the list apply, of each entry one can be chosen."""
    metadata = distribution(package).metadata
    expression = metadata.get("License-Expression")
    names = [
        line.rsplit(" :: ", 1)[1]
        for line in metadata.get_all("Classifier", [])
        if line.startswith("License :: OSI Approved :: ")
    ]
    # Some state the whole text: "Apache License", many blanks, "Version 2.0", and so on.
    whole = re.sub(
        r"^Apache License\s+Version 2\.0.*", "Apache 2.0", metadata.get("License") or "", flags=re.S
    )
    text = expression or " AND ".join(names) or whole
    return [set(part.split(" OR ")) for part in text.split(" AND ")]


DEPENDENCIES = sorted(set(requirements("dicom-node")) - {"dicom-node"})


@pytest.mark.parametrize("package", DEPENDENCIES)
def test_the_licence_of_every_dependency_fits_apache_2(package: str) -> None:
    for choices in licence(package):
        assert choices & (PERMISSIVE | WEAK_COPYLEFT), f"{package}: {choices}"


def test_constraints_pin_every_dependency_to_one_version() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines)
    assert set(DEPENDENCIES) <= set(pins)
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []


def imported(path: Path) -> set[str]:
    """The top-level names that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def test_every_package_that_is_imported_is_declared() -> None:
    """What happens to be installed, because something else needs it, may be gone tomorrow."""
    folders = ("dicom_node", "pipelines", "bench", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = chain(project["dependencies"], *project["optional-dependencies"].values())
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    providers = packages_distributions()
    strange = {
        f"{name} in {path.relative_to(ROOT)}"
        for path in files
        for name in imported(path) - sys.stdlib_module_names - {*folders}
        if not declared & {canonicalize_name(one) for one in providers.get(name, [])}
    }
    assert strange == set()


def test_every_module_says_its_duty() -> None:
    modules = [*(ROOT / "dicom_node").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")]
    silent = [path for path in modules if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_no_committed_file_holds_a_path_of_a_machine_or_where_packages_come_from() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if FORBIDDEN_TEXT.search(line):
                found.append(f"{name}:{number}: {line.strip()[:100]}")
    assert found == []


def test_the_commands_that_the_readme_names_exist() -> None:
    named = set(re.findall(r"(?:`|^    )make ([a-z]+)", README, re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named
    assert named <= targets


def test_the_readme_lists_the_commands_that_there_are_and_no_others() -> None:
    told = set(re.findall(r"^\| `([a-z-]+)(?: [^`|]*)?` \|", README, re.MULTILINE))
    assert told == set(get_command(app).commands)


def test_every_pipeline_that_the_readme_lists_can_be_imported() -> None:
    listed = re.findall(r"^\| `(pipelines\.\w+):(\w+)` \|", README, re.MULTILINE)
    assert listed
    for module, name in listed:
        assert issubclass(getattr(importlib.import_module(module), name), Pipeline)


def test_every_file_that_the_documents_point_to_is_there() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        targets = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text())
        assert [one for one in targets if not (document.parent / one).exists()] == [], document.name


def test_the_pipeline_and_the_route_of_the_readme_work(
    tmp_path: Path, small_ct: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    code, route = (re.search(rf"```{kind}\n(.*?)```", README, re.DOTALL)[1] for kind in ("python", "yaml"))
    (tmp_path / "my_file.py").write_text(code)
    pipelines = "pipelines: {bone: {use: 'my_file:Bone'}, lung: {use: 'pipelines.ct_lung:CtLung'}}\n"
    destinations = "destinations: {pacs: {ae_title: PACS, host: 127.0.0.1, port: 104}}\n"
    conf = tmp_path / "conf.yaml"
    conf.write_text(pipelines + destinations + route)
    assert [one.run for one in load(conf, pipelines=True).routes] == ["lung"]
    command = [sys.executable, "-m", "dicom_node", "run", "bone", small_ct[0].parent, "--config", conf]
    subprocess.run([*command, "--output", tmp_path / "out"], check=True, capture_output=True, timeout=120)
    kinds = {pydicom.dcmread(path).Modality for path in (tmp_path / "out").rglob("*.dcm")}
    assert "SEG" in kinds


@pytest.mark.parametrize("script", [".ci/run", "scripts/install-debian.sh"])
def test_scripts_can_be_run_and_are_sound_bash(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    checked = subprocess.run(["bash", "-n", ROOT / script], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_packages_that_are_there_already_are_not_installed_again() -> None:
    script = ROOT / "scripts/install-debian.sh"
    done = subprocess.run([script, "bash", "coreutils"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_packages_that_cannot_be_installed_are_named_and_fail_only_in_ci(tmp_path: Path) -> None:
    """A machine of another kind: dpkg-query and apt-get are not there."""
    for tool in ("bash", "id"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    for ci, code in (("false", 0), ("true", 1)):
        done = subprocess.run(
            ["/usr/bin/bash", ROOT / "scripts/install-debian.sh", "dcmtk"],
            env={"PATH": str(tmp_path), "CI": ci},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "apt-get install dcmtk" in done.stderr) == (code, True)
