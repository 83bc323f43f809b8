"""Versions of the schema, oldest first by their revision."""
