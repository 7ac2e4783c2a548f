"""Load weights from other sources into a network, and save a network's weights for other programs.

::

    net = models.create("resnet50_v1_5", num_classes=37, in_channels=1)
    weights.load(net, "IMAGENET1K_V1", adapt_head=True, adapt_input=True)
    weights.save(net, "pets.safetensors")

Loading is all or nothing: either every tensor of the source matches one of the network and vice versa, or an error of
one line lists those that do not and the network is unchanged. Files are only unpickled into tensors and plain values.
"""

from repronet.weights.export import OnPixels, export_onnx, export_program, save
from repronet.weights.files import metadata
from repronet.weights.loading import Loaded, load, shapes

__all__ = ["Loaded", "OnPixels", "export_onnx", "export_program", "load", "metadata", "save", "shapes"]
