"""The demonstration's own site: a conf.yaml on free ports, with the two pipelines that come with the node."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from dicom_node.demo.pacs import AE_TITLE

NODE_AE_TITLE = "DEMONODE"


@dataclass(frozen=True)
class DemoSite:
    """Where the demonstration's node and PACS are."""

    config_path: Path
    pacs_folder: Path
    node_port: int
    pacs_port: int
    web_port: int


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def make_site(folder: Path) -> DemoSite:
    """Writes a conf.yaml into a folder."""
    site = DemoSite(folder / "conf.yaml", folder / "pacs", free_port(), free_port(), free_port())
    content: dict[str, Any] = {
        "node": {
            "ae_title": NODE_AE_TITLE,
            "address": "127.0.0.1",
            "port": site.node_port,
            "data": "data",
        },
        "web": {"port": site.web_port},
        "complete": {"settle": 0.5, "quiet": 5.0},
        "pipelines": {"lung": {"use": "pipelines.ct_lung:CtLung"}},
        "routes": [
            {"name": "CT to lung volumes", "when": {"Modality": "CT"}, "run": "lung", "send": ["pacs"]},
        ],
        "destinations": {"pacs": {"ae_title": AE_TITLE, "host": "127.0.0.1", "port": site.pacs_port}},
    }
    if find_spec("deepbet") is not None:  # it comes with the extra "brain"
        content["pipelines"]["brain"] = {"use": "pipelines.mr_brain:MrBrain"}
        brain = {"name": "MR to brain volume", "when": {"Modality": "MR"}, "run": "brain", "send": ["pacs"]}
        content["routes"].append(brain)
    folder.mkdir(parents=True, exist_ok=True)
    with site.config_path.open("w") as file:
        YAML().dump(content, file)
    return site
