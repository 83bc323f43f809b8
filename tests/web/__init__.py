"""Tests of the status page, against a real ledger and a real HTTP server."""
