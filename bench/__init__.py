"""Measurements of the node beside its peers: `python -m bench.NAME [--quick] [--json]`; see harness.py."""
