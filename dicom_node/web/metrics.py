"""The node's numbers in Prometheus' text format, read from the ledger when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dicom_node import __version__
from dicom_node.web.status import Check, StatusView

STATES = {
    "series": "Series held, by state.",
    "jobs": "Jobs, by state.",
    "deliveries": "Results owed to destinations, by state.",
    "associations": "Associations of senders, by state.",
    "conflicts": "Images that came again with other bytes, kept beside the first.",
}


class NodeCollector(Collector):
    """Gives counts and checks at each scrape; holds no number of its own."""

    def __init__(self, view: StatusView, checks: Callable[[], Iterable[Check]]) -> None:
        self._view = view
        self._checks = checks

    def collect(self) -> Iterator[Metric]:
        """One gauge for each kind of thing, labelled by state."""
        yield _gauge("dicom_node_info", "The node's version.", ["version"], [((__version__,), 1)])
        counts = self._view.counts()
        for what, help_text in STATES.items():
            samples = [((state,), number) for state, number in sorted(counts.get(what, {}).items())]
            yield _gauge(f"dicom_node_{what}", help_text, ["state"], samples)
        checks = [((check.name,), float(check.ok)) for check in self._checks()]
        yield _gauge("dicom_node_check", "1: this part does its work; 0: it does not.", ["name"], checks)
        changed = self._view.last_change()
        if changed is not None:
            name, text = "dicom_node_last_change_timestamp_seconds", "When anything last changed its state."
            yield _gauge(name, text, [], [((), changed.timestamp())])


def _gauge(
    name: str, documentation: str, labels: list[str], samples: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family
