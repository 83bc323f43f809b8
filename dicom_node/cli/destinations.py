"""`dicom-node destinations test`: what each destination takes, and in which form it gets each output."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from dicom_node import log
from dicom_node.cli.common import CONFIG, ConfigOption, console, told
from dicom_node.config import DestinationConfig, load
from dicom_node.deliver.contexts import sop_class_name
from dicom_node.deliver.probe import RESULT_CLASSES, RESULT_SYNTAXES, Abilities, probe, short_name
from dicom_node.deliver.stow import reach
from dicom_node.encode import Taker, plan_every, plan_notice
from dicom_node.encode.plan import SOP_CLASSES
from dicom_node.errors import NodeError
from dicom_node.node.negotiating import answered, taker
from dicom_node.records import Choice

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
    """Ask each destination what it takes, and tell in which form it gets each output; nothing is sent."""
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
    """Tells how one destination fares; whether it can have every output that conf.yaml sends it."""
    console.print(f"[bold]{name}[/bold]: {destination.where}, profile {destination.profile}", highlight=False)
    try:
        if destination.url is not None:
            reach(destination)
            console.print("  STOW-RS: answers; what it takes, it tells of each object", highlight=False)
            return _agrees(taker(name, destination, None))
        abilities = probe(destination, ae_title)
    except NodeError as error:
        console.print(f"  {error}", style="red", markup=False, highlight=False)
        return False
    for line in _explanations(abilities):
        console.print(f"  {line}", markup=False, highlight=False)
    console.print(_accepted(abilities))
    offered = _offers(destination, abilities)
    return _agrees(taker(name, destination, answered(destination, abilities.forms))) and offered


def _agrees(who: Taker) -> bool:
    """Tells in which form a destination gets each output, and why; whether it can have all of them."""
    choices, notices = plan_every(who), plan_notice(who)
    told_as = ", ".join(dict.fromkeys(one.form for one in notices if one.form is not None))
    table = Table("output", "goes as", "because")
    for choice in choices:
        table.add_row(choice.output, choice.form or "nothing", choice.reason)
    table.add_row("no result", told_as or "nothing", notices[0].reason if not told_as else "")
    console.print(table)
    troubles = [_trouble(choice) for choice in choices if choice.form is None]
    if not told_as:
        troubles.append("it takes nothing that could say that a job has no result: allow Secondary Capture")
    for trouble in troubles:
        console.print(f"  {trouble}", style="red", markup=False, highlight=False)
    return not troubles


def _trouble(choice: Choice) -> str:
    return (
        f"{choice.output} is in `outputs`, but it can have it in no form ({choice.reason}): "
        f"allow one there, or take {choice.output} out"
    )


def _offers(destination: DestinationConfig, abilities: Abilities) -> bool:
    """Tells where conf.yaml wants a confirmation, or rejection notes, that the destination does not offer."""
    troubles = []
    if destination.confirm == "commitment" and not abilities.storage_commitment:
        troubles.append(
            "`confirm: commitment` is set, but it offers no storage commitment to us: allow it there, or "
            "set `confirm: true`"
        )
    if destination.confirm and not abilities.lists:
        troubles.append(
            "`confirm` is set, but it offers no C-FIND to us: allow it there, or take `confirm` out"
        )
    if destination.rejection_notes and SOP_CLASSES["ko"] not in {uid for uid, _syntax in abilities.forms}:
        troubles.append(
            "`rejection_notes` is set, but it takes no Key Object Selection: allow it there, or take "
            "`rejection_notes` out"
        )
    for trouble in troubles:
        console.print(f"  {trouble}", style="red", markup=False, highlight=False)
    return not troubles


def _explanations(abilities: Abilities) -> list[str]:
    echo = abilities.echo_seconds
    finds = "offered; with `confirm: true` an object counts as delivered when it is listed"
    commits = "with `confirm: commitment` an object counts as delivered when it takes responsibility"
    return [
        "C-ECHO: not offered" if echo is None else f"C-ECHO: answered after {echo * 1000:.0f} ms",
        f"C-FIND: {finds}" if abilities.lists else "C-FIND: not offered; `confirm` can't be used",
        "storage commitment: " + (f"offered; {commits}" if abilities.storage_commitment else "not offered"),
    ]


def _accepted(abilities: Abilities) -> Table:
    """SOP classes down, transfer syntaxes across."""
    table = Table("kind of object", *(short_name(syntax) for syntax in RESULT_SYNTAXES))
    for sop_class in RESULT_CLASSES:
        marks = ("yes" if (sop_class, syntax) in abilities.forms else "-" for syntax in RESULT_SYNTAXES)
        table.add_row(sop_class_name(sop_class).removesuffix(" Storage"), *marks)
    return table
