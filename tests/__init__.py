"""Tests, one folder for each room, and the journeys through all of them."""
