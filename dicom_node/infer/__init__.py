"""Warm models, devices, limits and input gates: a case in, checked findings out."""
