"""The demonstration from end to end: start, send, wait, look."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from dicom_node.config import DestinationConfig
from dicom_node.deliver import send
from dicom_node.demo.pacs import small_pacs
from dicom_node.demo.results import Measured, measured, received, save_pictures
from dicom_node.demo.site import NODE_AE_TITLE, DemoSite, make_site
from dicom_node.errors import Permanent
from dicom_node.headers import read_header
from dicom_node.node.offline import FoundSeries, find_series
from dicom_node.node.site import open_site
from dicom_node.records import Delivery, DeliveryOutcome

START_SECONDS = 60.0
WORK_SECONDS = 900.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Shown:
    """What the demonstration has to show at its end."""

    objects: list[Dataset]
    numbers: list[Measured]
    pictures: list[Path]
    jobs: list[dict[str, object]]


def tell_story(images: Path, folder: Path, say: Callable[[str], None]) -> Shown:
    """Runs a node and a PACS, sends the images of a folder to the node, and waits for what comes back.

    Args:
        images: where the DICOM files are.
        folder: where the demonstration keeps everything; made if need be.
        say: told of each step.

    Raises:
        Permanent: there is no image; the node does not start; a sent image is refused; nothing comes back.
    """
    series, _others = find_series(images)
    if not series:
        raise Permanent(f"no DICOM series under {images}")
    site = make_site(folder)
    with small_pacs(site.pacs_folder, site.pacs_port), _node(site, folder / "node.log"):
        say(f"node {NODE_AE_TITLE} listens on port {site.node_port}, a small PACS on port {site.pacs_port}")
        say(f"status page while it runs: http://127.0.0.1:{site.web_port}/")
        for one in series:
            _send(one, site)
            say(f"sent {len(one.paths)} images: {one.modality} {one.description}")
        _wait(site, len(series), say)
        with open_site(site.config_path) as opened:
            jobs = opened.ledger.views.recent_jobs()
    objects = received(site.pacs_folder)
    return Shown(objects, measured(objects), save_pictures(objects, folder / "pictures"), jobs)


@contextmanager
def _node(site: DemoSite, log_path: Path) -> Iterator[None]:
    """Runs `dicom-node serve`; its log goes into a file."""
    command = [sys.executable, "-m", "dicom_node", "serve", "--config", str(site.config_path)]
    with log_path.open("wb") as log_file:
        process = subprocess.Popen(command, stderr=log_file, stdout=log_file)
        try:
            _await_port(site, process, log_path)
            yield
        finally:
            process.terminate()
            process.wait()


def _await_port(site: DemoSite, process: subprocess.Popen[bytes], log_path: Path) -> None:
    """Waits until the node takes connections. Raises Permanent where it ends, or takes too long."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", site.node_port), timeout=1).close()
        except OSError:
            time.sleep(POLL_SECONDS)
        else:
            return
    raise Permanent(f"the node did not start; see {log_path}")


def _send(series: FoundSeries, site: DemoSite) -> None:
    """Sends a series with the node's own sender. Raises Permanent where an image is refused."""
    node = DestinationConfig(ae_title=NODE_AE_TITLE, host="127.0.0.1", port=site.node_port)
    headers = {path: read_header(path) for path in series.paths}
    deliveries = [
        Delivery(number, str(ds.SOPInstanceUID), str(ds.SOPClassUID), "node", str(path), 1)
        for number, (path, ds) in enumerate(headers.items())
    ]
    outcomes: list[DeliveryOutcome] = send(deliveries, node, "SCANNER", Path)
    refused = [outcome.error for outcome in outcomes if outcome.error is not None]
    if refused:
        raise Permanent(f"{len(refused)} images were refused: {refused[0]}")


def _wait(site: DemoSite, series: int, say: Callable[[str], None]) -> None:
    """Waits until every series is through and nothing is owed. Raises Permanent where that takes too long."""
    until = time.monotonic() + WORK_SECONDS
    last = ""
    with open_site(site.config_path) as opened:
        views = opened.ledger.views
        while time.monotonic() < until:
            counts = views.counts()
            text = "; ".join(
                f"{what}: " + ", ".join(f"{number} {state}" for state, number in states.items())
                for what, states in counts.items()
                if states and what not in ("associations", "conflicts")
            )
            if text != last:
                say(text)
                last = text
            if counts["series"].get("complete", 0) >= series and views.idle():
                return
            time.sleep(POLL_SECONDS)
    raise Permanent(f"not done after {WORK_SECONDS:.0f} s; see {site.config_path.parent / 'node.log'}")
