"""Tests of queries, against real peers."""
