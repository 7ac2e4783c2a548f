"""Weights from elsewhere into a network, and a network's weights to elsewhere.

::

    net = models.create("resnet50_v1_5", num_classes=37, in_channels=1)
    weights.load(net, "IMAGENET1K_V1", adapt_head=True, adapt_input=True)
    weights.save(net, "pets.safetensors")

Loading is all or nothing: every tensor of the source finds its place and every place its tensor, or one line says which
do not and the network is as it was. No file is ever unpickled into anything but tensors and plain values.
"""

from repronet.weights.export import OnPixels, export_onnx, export_program, save
from repronet.weights.files import metadata
from repronet.weights.loading import Loaded, load, shapes

__all__ = ["Loaded", "OnPixels", "export_onnx", "export_program", "load", "metadata", "save", "shapes"]
