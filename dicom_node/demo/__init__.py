"""A demonstration on one machine: a node, a small PACS, a series sent, results looked at."""
