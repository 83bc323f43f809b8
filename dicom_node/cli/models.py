"""`dicom-node models`: what the store holds, and bringing, checking and trying models."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from dicom_node.cli.common import CONFIG, ConfigOption, console, errors, told
from dicom_node.config import load, resolve
from dicom_node.errors import ModelUnavailable, NodeError
from dicom_node.models import STORE_VARIABLE, ModelStore, store_root, use_store
from dicom_node.models.pull import pull as pull_model
from dicom_node.models.store import model_files, pickles, read_manifest
from dicom_node.models.store import verify as verify_files

models = typer.Typer(help="Models on this machine: list, pull, verify, show, warm.", no_args_is_help=True)

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", envvar=STORE_VARIABLE, help="The store's folder; else the site's data folder's."),
]
CARD_LINES = 40
FASTER = ("precision", "channels_last", "compiled")
"""Options of pipelines that may change a result a little; without them it is the plain one."""


def store_of(store: Path | None, config: Path) -> ModelStore:
    """The store that a command works on: the one named, else the site's."""
    if store is None and config.exists():
        store = load(config, pipelines=False).node.data / "models"
    return ModelStore(store or store_root())


@models.command("list")
def list_models(store: StoreOption = None, config: ConfigOption = CONFIG) -> None:
    """List the models in the store."""
    with told():
        held = store_of(store, config)
        table = Table("model", "source", "revision", "licence", "MB", "pickles", box=None)
        for name in held.names():
            manifest = read_manifest(held.folder(name))
            size = sum(path.stat().st_size for path in model_files(held.folder(name))) / 1e6
            unsafe = ", ".join(pickles(held.folder(name))) or "none"
            table.add_row(
                name, manifest.source, manifest.revision[:12], manifest.licence, f"{size:.1f}", unsafe
            )
        console.print(table if table.row_count else f"no models in {held.root}")


@models.command()
def pull(
    source: Annotated[str, typer.Argument(help='A folder, or a hub\'s "organisation/model".')],
    name: Annotated[str | None, typer.Option(help="Its name in conf.yaml; else the source's.")] = None,
    revision: Annotated[str | None, typer.Option(help="The hub's commit, 40 hex digits.")] = None,
    convert: Annotated[bool, typer.Option("--convert", help="Make safetensors of pickles.")] = False,
    store: StoreOption = None,
    config: ConfigOption = CONFIG,
) -> None:
    """Bring a model into the store, with its revision and the checksum of each file."""
    with told():
        held = store_of(store, config)
        name = name or source.rstrip("/").rsplit("/", 1)[-1]
        manifest = pull_model(held, source, name, revision, convert=convert)
        console.print(
            f"{name}: revision {manifest.revision}, licence {manifest.licence}, {len(manifest.sha256)} files",
            highlight=False,
        )
        if unsafe := pickles(held.folder(name)):
            console.print(
                f"pickles: {', '.join(unsafe)}; --convert makes safetensors of them", style="yellow"
            )


@models.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Models; else all.")] = None,
    store: StoreOption = None,
    config: ConfigOption = CONFIG,
) -> None:
    """Check every file of the store's models against its checksum."""
    with told():
        held = store_of(store, config)
        faults = 0
        for name in names or held.names():
            try:
                folder = held.folder(name)
                verify_files(folder, read_manifest(folder))
                console.print(f"{name}: sound", style="green", highlight=False)
            except ModelUnavailable as fault:
                errors.print(str(fault), style="red", markup=False, highlight=False)
                faults += 1
    if faults:
        raise typer.Exit(1)


@models.command()
def show(name: str, store: StoreOption = None, config: ConfigOption = CONFIG) -> None:
    """Show a model's source, licence, files and card."""
    with told():
        folder = store_of(store, config).folder(name)
        manifest = read_manifest(folder)
        table = Table(show_header=False, box=None)
        for key in ("source", "revision", "licence"):
            table.add_row(key, getattr(manifest, key))
        for file, digest in manifest.sha256.items():
            table.add_row(file, f"{(folder / file).stat().st_size / 1e6:.1f} MB, sha256 {digest[:16]}…")
        console.print(table)
        card = folder / "README.md"
        if card.exists():
            console.print("\n".join(card.read_text(errors="replace").splitlines()[:CARD_LINES]), markup=False)


@models.command()
def reference(
    folders: Annotated[list[Path], typer.Argument(help="Folders of DICOM files, one series each.")],
    output: Annotated[Path, typer.Option(help="The file to write.")] = Path("reference.json"),
) -> None:
    """Make a reference of images that a method is known to work on, for the requirement `reference`."""
    from dicom_node.infer.outlier import features, make_reference
    from dicom_node.volume import read_volume

    seen = []
    for folder in folders:
        try:
            seen.append(features(read_volume(sorted(path for path in folder.rglob("*") if path.is_file()))))
        except NodeError as fault:
            errors.print(f"{folder}: {fault}", style="yellow", markup=False, highlight=False)
    try:
        made = make_reference(seen)
    except ValueError as fault:
        errors.print(str(fault), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None
    output.write_text(made.model_dump_json() + "\n")
    console.print(f"{output}: {made.images} images, threshold {made.threshold:.1f}", highlight=False)


@models.command()
def compare(
    pipeline: Annotated[str, typer.Argument(help="A configured pipeline with an option `precision`, say.")],
    folder: Annotated[Path, typer.Argument(help="A series to run it on.")],
    tolerance: Annotated[float, typer.Option(help="Largest difference that counts as equal.")] = 0.01,
    device: Annotated[str | None, typer.Option(help='Such as "cuda:0"; else the first configured.')] = None,
    config: ConfigOption = CONFIG,
) -> None:
    """Run a pipeline plainly and as configured to be faster, and tell how far the results differ."""
    from dicom_node.headers import plain, read_header
    from dicom_node.infer.engine import Engine
    from dicom_node.infer.equality import difference
    from dicom_node.pipeline import Case, Input
    from dicom_node.volume import read_volume

    with told():
        site = load(config, pipelines=False)
        use_store(site.node.data)
        reduced = set(FASTER) & set(site.pipelines[pipeline].options) if pipeline in site.pipelines else set()
        if not reduced:
            raise ModelUnavailable(
                f"{config} names no pipeline {pipeline!r} with an option {', '.join(FASTER)}"
            )
        configured = site.pipelines[pipeline]
        plain_options = {key: value for key, value in configured.options.items() if key not in reduced}
        full = configured.model_copy(update={"options": plain_options})
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        case = Case({"image": Input(read_volume(files), plain(read_header(files[0])))})
        engine = Engine(
            {"full": resolve(full), "reduced": resolve(configured)}, device or site.node.devices[0]
        )
        found = difference(engine.run("full", case), engine.run("reduced", case))
    how = ", ".join(f"{key} {configured.options[key]}" for key in sorted(reduced))
    equal = found.within(tolerance)
    told_apart = f"Dice at least {found.dice:.4f}, values within {found.value:.2%}"
    verdict = f"{'equal' if equal else 'not equal'} within {tolerance:g}"
    chances = f"probabilities within {found.probability:.4f}"
    console.print(
        f"{how}: {told_apart}, {chances}: {verdict}",
        style="green" if equal else "red",
        highlight=False,
    )
    if not equal:
        raise typer.Exit(1)


@models.command()
def warm(
    pipelines: Annotated[list[str] | None, typer.Argument(help="Pipelines; else all configured.")] = None,
    device: Annotated[str | None, typer.Option(help='Such as "cuda:0"; else the first configured.')] = None,
    config: ConfigOption = CONFIG,
) -> None:
    """Load the configured pipelines' models once, to see that they can be and how long it takes."""
    from dicom_node.infer.engine import Engine

    with told():
        site = load(config, pipelines=False)
        use_store(site.node.data)
        faults = 0
        for name in pipelines or list(site.pipelines):
            if name not in site.pipelines:
                raise ModelUnavailable(f"{config} names no pipeline {name!r}")
            started = time.monotonic()
            try:
                Engine({name: resolve(site.pipelines[name])}, device or site.node.devices[0]).warm(name)
                console.print(f"{name}: warm after {time.monotonic() - started:.1f} s", highlight=False)
            except NodeError as fault:
                errors.print(f"{name}: {fault}", style="red", markup=False, highlight=False)
                faults += 1
    if faults:
        raise typer.Exit(1)
