"""Tests of delivery, against real peers."""
