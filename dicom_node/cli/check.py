"""`dicom-node check`: every fault of conf.yaml at once, or what it configures."""

from __future__ import annotations

import typer
from rich.table import Table

from dicom_node.cli.common import CONFIG, ConfigOption, console, errors
from dicom_node.config import Config, FaultyConfigError, RouteConfig, load, placed
from dicom_node.node import surroundings


def check(config: ConfigOption = CONFIG) -> None:
    """Check conf.yaml: tell every fault of it with its line, or what it configures."""
    try:
        site = load(config, pipelines=True)
        lacks = [*surroundings.lacks(site), *surroundings.missing_devices(site)]
        if needed := [one.fault for one in lacks if one.needed]:
            raise placed(config, needed)
    except FaultyConfigError as error:
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        count = len(error.faults)
        errors.print(f"{count} fault{'s' if count > 1 else ''} in {config}", style="red", highlight=False)
        raise typer.Exit(1) from None
    console.print(summary(site))
    for one in lacks:
        console.print(f"note: {one.fault}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{config} is right", style="green", highlight=False)


def summary(config: Config) -> Table:
    """What a configuration sets up, as a table of two columns."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    node = config.node
    table.add_row("node", f"{node.ae_title} at {node.address}:{node.port}, data in {node.data}")
    web = f"http://{config.web.address}:{config.web.port}" if config.web is not None else "none"
    table.add_row("status page", web)
    table.add_row("devices", ", ".join(node.devices))
    for name, peer in config.peers.items():
        where = ", ".join(peer.addresses) or "any address"
        table.add_row("peer", f"{name}: {peer.ae_title} from {where} may {', '.join(peer.may)}")
    if config.receive.unknown_peers == "accept":
        table.add_row("peer", "any other may echo and store")
    for name, pipeline in config.pipelines.items():
        table.add_row("pipeline", f"{name}: {pipeline.use}")
    for route in config.routes:
        table.add_row("route", f"{route.name}: {_route(route)}")
    for name, one in config.destinations.items():
        table.add_row("destination", f"{name}: {one.where}, {', '.join(one.outputs)} as {one.profile}")
    return table


def _route(route: RouteConfig) -> str:
    """What a route does, in words."""
    inputs = f" on {', '.join(route.series)}" if route.series else ""
    sends = "in shadow, sends nothing" if route.shadow else f"sends to {', '.join(route.send) or 'nobody'}"
    at_times = ", at certain times" if route.hours else ""
    return f"runs {route.run}{inputs}{at_times}, {sends}"
