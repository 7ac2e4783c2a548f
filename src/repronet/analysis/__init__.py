"""Measurements and checks of layers and networks: their cost and speed, and whether their gradients are right."""
