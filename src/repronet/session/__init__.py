"""Carry out one run, from its checked config to its folder: trainer, fit, test, result."""
