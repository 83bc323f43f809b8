"""What holds between sections: names that must exist, names and addresses that must not be given twice.

Works on what stands in the file, so that it finds its faults beside those of single values.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dicom_node.config.faults import Fault, KeyPath, one_of
from dicom_node.config.models import NodeConfig, WebConfig


def reference_faults(content: dict[str, Any]) -> list[Fault]:
    """Every fault between sections; what is malformed in itself is left to the models."""
    return [*_ports(content), *_routes(content), *_destinations(content), *_peers(content)]


def role_faults(content: dict[str, Any], roles: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
    """Routes whose series are not what their pipeline asks for.

    Args:
        content: of the file.
        roles: by name of a pipeline.
    """
    routes = content.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if not isinstance(route, dict) or not isinstance(route.get("run"), str):
            continue
        asked, series = roles.get(route["run"]), route.get("series") or {}
        given = list(series) if isinstance(series, dict) else []
        if asked is not None and set(given or ["image"]) != set(asked):
            found = f'the pipeline "{route["run"]}" is given {", ".join(given) or "one series"}'
            yield Fault(("routes", index, "series"), found, f"it asks for {', '.join(asked)}")


def _section(content: dict[str, Any], name: str) -> dict[str, Any]:
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def _ports(content: dict[str, Any]) -> Iterator[Fault]:
    """The status page needs a port of its own, but for two addresses that differ."""
    if content.get("web", {}) is None:
        return
    node, web = _section(content, "node"), _section(content, "web")
    port = node.get("port", NodeConfig().port)
    if web.get("port", WebConfig().port) != port:
        return
    addresses = {str(node.get("address", NodeConfig().address)), str(web.get("address", WebConfig().address))}
    if len(addresses) == 1 or addresses & {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        path: KeyPath = ("web", "port") if "port" in web else ("node", "port")
        yield Fault(path, f"the node and its status page would both listen on {port}", "give each its own")


def _routes(content: dict[str, Any]) -> Iterator[Fault]:
    routes = content.get("routes")
    pipelines, destinations = _section(content, "pipelines"), _section(content, "destinations")
    names: dict[str, int] = {}
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if not isinstance(route, dict):
            continue
        path: KeyPath = ("routes", index)
        name, run, send = route.get("name"), route.get("run"), route.get("send")
        if isinstance(name, str) and name in names:
            first = f'routes[{names[name]}] is called "{name}" too'
            yield Fault((*path, "name"), first, "give each route a name of its own")
        elif isinstance(name, str):
            names[name] = index
        if isinstance(run, str) and run not in pipelines:
            yield Fault((*path, "run"), f'there is no pipeline "{run}"', one_of(pipelines, run))
        for place, one in enumerate(send if isinstance(send, list) else ()):
            if isinstance(one, str) and one not in destinations:
                found = f'there is no destination "{one}"'
                yield Fault((*path, "send", place), found, one_of(destinations, one))


def _destinations(content: dict[str, Any]) -> Iterator[Fault]:
    own_port = str(_section(content, "node").get("port", NodeConfig().port))
    seen: dict[tuple[str, ...], str] = {}
    for name, one in _section(content, "destinations").items():
        if not isinstance(one, dict):
            continue
        address = tuple(str(one.get(key, "")) for key in ("host", "port", "ae_title", "url"))
        path: KeyPath = ("destinations", name)
        yield from _whereabouts(path, one)
        if address in seen:
            found = f'has the same host, port and AE title as "{seen[address]}"'
            yield Fault(path, found, "results would be sent twice; keep one of them")
        seen.setdefault(address, name)
        if str(one.get("host")) in ("127.0.0.1", "localhost", "::1") and address[1] == own_port:
            yield Fault(path, "is this node itself", "results must not come back as input")


def _whereabouts(path: KeyPath, destination: dict[str, Any]) -> Iterator[Fault]:
    """A destination is reached by C-STORE, which needs three keys, or by the url of its DICOMweb alone."""
    for key in ("ae_title", "host", "port"):
        if key in destination and "url" in destination:
            yield Fault((*path, key), "its url says already where it is", "take one of them out")
        if key not in destination and "url" not in destination:
            yield Fault(path, f'the key "{key}" is missing', "add it, or the url of its DICOMweb")
    if destination.get("confirm") == "commitment" and "url" in destination:
        found = "storage commitment is asked for by DIMSE, and this destination has a url"
        yield Fault((*path, "confirm"), found, "true asks by QIDO-RS what it lists")
    if destination.get("priors") is True and "url" in destination:
        found = "earlier reports are asked for by DIMSE, and this destination has a url"
        yield Fault((*path, "priors"), found, "take it out, or give ae_title, host and port instead")


def _peers(content: dict[str, Any]) -> Iterator[Fault]:
    """Two peers with one AE title must be told apart by their addresses."""
    seen: list[tuple[str, str, list[Any]]] = []
    for name, one in _section(content, "peers").items():
        if not isinstance(one, dict) or not isinstance(one.get("ae_title"), str):
            continue
        title, networks = one["ae_title"].strip(), _networks(one.get("addresses"))
        for other, other_title, others in seen:
            if title == other_title and _overlap(networks, others):
                found = f'can\'t be told from "{other}": same AE title "{title}", overlapping addresses'
                yield Fault(("peers", name), found, "give each peer addresses of its own")
        seen.append((name, title, networks))


def _networks(addresses: object) -> list[Any]:
    """Networks of a peer; those that are none are faults of their own."""
    found = []
    for one in addresses if isinstance(addresses, list) else ():
        try:
            found.append(ipaddress.ip_network(str(one)))
        except ValueError:
            continue
    return found


def _overlap(networks: list[Any], others: list[Any]) -> bool:
    """Whether an address can be in both; no networks at all means every address."""
    if not networks or not others:
        return True
    return any(a.version == b.version and a.overlaps(b) for a in networks for b in others)
