"""repronet: the classic convolutional networks, rebuilt from layers whose gradients are written out and proved."""

__version__ = "0.1.0"
