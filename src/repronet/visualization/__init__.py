"""Compute what a network has learnt: what excites a unit, where it looks, how images lie in its feature space.

Nothing here depends on run folders or on drawing: networks and images go in, tensors come out.
"""
