"""`dicom-node destinations test`: which forms each destination takes, asked for without sending anything."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from dicom_node import log
from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.config import DestinationConfig, load
from dicom_node.deliver.contexts import sop_class_name
from dicom_node.deliver.probe import (
    OUTPUT_CLASSES,
    RESULT_CLASSES,
    RESULT_SYNTAXES,
    Abilities,
    probe,
    short_name,
)
from dicom_node.deliver.stow import reach
from dicom_node.errors import NodeError

destinations = typer.Typer(help="The peers that results are delivered to.", no_args_is_help=True)


@destinations.callback()
def _group() -> None:
    """Keeps `test` a command of its own while it is the only one."""


@destinations.command("test")
def try_out(
    names: Annotated[
        list[str] | None, typer.Argument(help="Destinations by name; none: all of them.")
    ] = None,
    config: ConfigOption = CONFIG,
) -> None:
    """Ask each destination which forms of results it takes; nothing is sent or stored."""
    log.configure(level="error")
    with told():
        site = load(config)
    unknown = sorted(set(names or ()) - set(site.destinations))
    if unknown:
        known = ", ".join(site.destinations) or "there is none"
        raise typer.BadParameter(f"no destination is called {', '.join(unknown)} (there are: {known})")
    sound = [_test(name, site.destinations[name], site.node.ae_title) for name in names or site.destinations]
    if not all(sound):
        raise typer.Exit(1)


def _test(name: str, destination: DestinationConfig, ae_title: str) -> bool:
    """Tells how one destination fares; whether it takes every output that conf.yaml sends it."""
    console.print(
        f"[bold]{name}[/bold]: {destination.where}",
        highlight=False,
    )
    try:
        if destination.url is not None:
            reach(destination)
            console.print("  STOW-RS: answers; what it takes, it tells of each object", highlight=False)
            return True
        abilities = probe(destination, ae_title)
    except NodeError as error:
        console.print(f"  {error}", style="red", markup=False, highlight=False)
        return False
    for line in _explanations(abilities):
        console.print(f"  {line}", markup=False, highlight=False)
    console.print(_forms(abilities))
    return _agrees(destination, abilities)


def _agrees(destination: DestinationConfig, abilities: Abilities) -> bool:
    """Tells where conf.yaml wants what the destination does not offer."""
    troubles = [
        f"{output} is in `outputs`, but it takes no {_kinds(output)} as we write it: "
        f"allow it there, or take {output} out"
        for output in destination.outputs
        if not abilities.takes(output)
    ]
    if destination.confirm and not abilities.lists:
        troubles.append(
            "`confirm` is set, but it offers no C-FIND to us: allow it there, or take `confirm` out"
        )
    for trouble in troubles:
        console.print(f"  {trouble}", style="red", markup=False, highlight=False)
    return not troubles


def _kinds(output: str) -> str:
    return " or ".join(sop_class_name(uid) for uid in OUTPUT_CLASSES[output])


def _explanations(abilities: Abilities) -> list[str]:
    echo = abilities.echo_seconds
    finds = "offered; with `confirm: true` an object counts as delivered when it is listed"
    return [
        "C-ECHO: not offered" if echo is None else f"C-ECHO: answered after {echo * 1000:.0f} ms",
        f"C-FIND: {finds}" if abilities.lists else "C-FIND: not offered; `confirm` can't be used",
        "storage commitment: " + ("offered" if abilities.storage_commitment else "not offered"),
    ]


def _forms(abilities: Abilities) -> Table:
    """SOP classes down, transfer syntaxes across."""
    table = Table("kind of result", *(short_name(syntax) for syntax in RESULT_SYNTAXES))
    for sop_class in RESULT_CLASSES:
        marks = ("yes" if (sop_class, syntax) in abilities.forms else "-" for syntax in RESULT_SYNTAXES)
        table.add_row(sop_class_name(sop_class).removesuffix(" Storage"), *marks)
    return table
