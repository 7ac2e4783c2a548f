"""Generative adversarial networks, whose pictures a classifier may be trained with."""
