"""Generative adversarial networks, whose images a classifier may be trained with."""
