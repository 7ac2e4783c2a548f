"""Networks that were released as layer files of cuda-convnet: for CIFAR-10, Network in Network, the one-tower AlexNet.

Pools and convolutions round the size of their maps up; the scale of a response norm is divided by the count of summed
values (layer.py). Biases start at 0 if `initB` is not given.
"""

from __future__ import annotations

from repronet.papers.releases.notation import (
    DOWN,
    RELU,
    UP,
    Chain,
    Operator,
    Release,
    avg_pool,
    chain,
    conv,
    differences,
    dropout,
    linear,
    local,
    max_pool,
    mean,
    normal,
    response_norm,
)

_MAX, _AVG = max_pool(3, 2, rounds=UP), avg_pool(3, 2, rounds=UP)


def _conv(maps: int, window: int, deviation: float, *, bias: float = 0.0) -> Operator:
    """A convolution with stride 1, padded so that the maps keep their size."""
    return conv(maps, window, padding=window // 2, bias=bias, start=normal(deviation))


def _local(maps: int) -> Chain:
    return chain(local(maps, 3, 1, bias=0.0, start=normal(0.04)), RELU)


_ACROSS_PIXELS = response_norm(3, 5e-5, 0.75, 1.0, over="pixels")
_ACROSS_MAPS = response_norm(9, 1e-3, 0.75, 1.0)
_FC10 = linear(10, bias=0.0, start=normal(0.01))


def _mlpconv(window: int, *maps: int) -> Chain:
    convolutions = [_conv(maps[0], window, 0.05), *(_conv(width, 1, 0.05) for width in maps[1:])]
    return chain(*(part for convolution in convolutions for part in (convolution, RELU)))


_OWT = chain(
    conv(64, 11, 4, bias=0.0, start=normal(0.01), rounds=UP),
    *(response_norm(5, 1e-4, 0.75, 2.0), _MAX, RELU),
    *(_conv(192, 5, 0.01, bias=1.0), RELU, response_norm(5, 1e-4, 0.75, 2.0), _MAX),
    *(_conv(384, 3, 0.03), RELU),
    *(_conv(256, 3, 0.03, bias=1.0), RELU),
    *(_conv(256, 3, 0.03, bias=1.0), _MAX, RELU),
    *(linear(4096, bias=1.0, start=normal(0.01)), RELU, dropout(0.5)),
    *(linear(4096, bias=1.0, start=normal(0.01)), RELU, dropout(0.5)),
    linear(1000, bias=-7.0, start=normal(0.01)),
)

_DEFAULT = "uniform √(1/fan-in)"
_OF_TORCHVISION = (
    *differences(
        "torchvision's, on images of 224: 55×55 maps leave either",
        ("padding", 0, 2),
        ("rounds", UP, DOWN),
        at="features.0",
    ),
    *differences("torchvision's has no response norm", ("operator", "response norm, size 5", "none"), at="features.?"),
    *differences("torchvision's drops what enters a hidden layer", ("operator", "none", "dropout 0.5")),
    *differences("torchvision's drops what enters a hidden layer", ("operator", "dropout 0.5", "none")),
    *differences(
        "torchvision's layers start as torch's do",
        *(("weights start", normal(deviation), _DEFAULT) for deviation in (0.01, 0.03)),
        *(("bias starts", bias, _DEFAULT) for bias in (0.0, 1.0, -7.0)),
    ),
)

RELEASES = {
    "four_layer_18pct": Release(
        "dnouri/cuda-convnet example-layers/layers-18pct.cfg, layer-params-18pct.cfg",
        chain(
            *(_conv(32, 5, 1e-4), _MAX, RELU, _ACROSS_PIXELS),
            *(_conv(32, 5, 0.01), RELU, _AVG, _ACROSS_PIXELS),
            *(_conv(64, 5, 0.01), RELU, _AVG, _FC10),
        ),
    ),
    "four_layer_13pct": Release(
        "dnouri/cuda-convnet example-layers/layers-conv-local-13pct.cfg",
        chain(
            *(_conv(64, 5, 1e-4), RELU, _MAX),
            *(_conv(64, 5, 0.01), RELU, _MAX),
            *(_local(32), _local(32), _FC10),
        ),
    ),
    "four_layer_11pct": Release(
        "dnouri/cuda-convnet example-layers/layers-conv-local-11pct.cfg, layer-params-conv-local-11pct.cfg",
        chain(
            *(_conv(64, 5, 1e-4), RELU, _MAX, _ACROSS_MAPS),
            *(_conv(64, 5, 0.01), RELU, _ACROSS_MAPS, _MAX),
            *(_local(64), _local(32), _FC10),
        ),
    ),
    "nin": Release(
        "mavenlin/cuda-convnet NIN/cifar-10_def, NIN/cifar-10_params",
        chain(
            *(_mlpconv(5, 192, 160, 96), _MAX, dropout(0.5)),
            *(_mlpconv(5, 192, 192, 192), _MAX, dropout(0.5)),
            *(_mlpconv(3, 192, 192, 10), mean()),
        ),
    ),
    "alexnet_owt": Release(
        "akrizhevsky/cuda-convnet2 layers/layers-imagenet-1gpu.cfg, layer-params-imagenet-1gpu.cfg",
        _OWT,
        _OF_TORCHVISION,
    ),
}
