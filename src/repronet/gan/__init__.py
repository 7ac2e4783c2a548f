"""Generative adversarial networks, whose images can be added to the training images of a classifier."""
