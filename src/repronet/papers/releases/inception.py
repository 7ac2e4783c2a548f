"""Inception-v3 as its authors released it in TensorFlow.

The file's VALID means no padding, its SAME keeps the size of the maps; its average pools do not count padded pixels.
Its batch norms learn no gain (`scale=False` in inception/slim/ops.py).
"""

from __future__ import annotations

from repronet.papers.releases.notation import (
    RELU,
    Chain,
    Operator,
    Release,
    avg_pool,
    batch_norm,
    chain,
    concat,
    conv,
    differences,
    dropout,
    head,
    linear,
    max_pool,
    mean,
    normal,
    truncated,
)

_NORM = batch_norm(1e-3, 0.9997, gain=False)


def _valid(maps: int, window: int, stride: int = 1, deviation: float = 0.1) -> Chain:
    return chain(conv(maps, window, stride, start=truncated(deviation)), _NORM, RELU)


def _same(maps: int, height: int = 1, width: int | None = None) -> Chain:
    width = height if width is None else width
    window, padding = (height, width), (height // 2, width // 2)
    return chain(conv(maps, window, 1, padding, start=truncated(0.1)), _NORM, RELU)


def _pooled(maps: int) -> Chain:
    return chain(avg_pool(3, 1, 1, counts_padding=False), _same(maps))


_HALVE = max_pool(3, 2)


def _mixed_35(pool: int) -> Operator:
    five = chain(_same(48), _same(64, 5))
    double = chain(_same(64), _same(96, 3), _same(96, 3))
    return concat(_same(64), five, double, _pooled(pool))


def _mixed_17(width: int) -> Operator:
    seven = chain(_same(width), _same(width, 1, 7), _same(192, 7, 1))
    double = chain(_same(width), _same(width, 7, 1), _same(width, 1, 7), _same(width, 7, 1), _same(192, 1, 7))
    return concat(_same(192), seven, double, _pooled(192))


def _mixed_8() -> Operator:
    cross = concat(_same(384, 1, 3), _same(384, 3, 1))
    return concat(_same(320), (*_same(384), cross), (*_same(448), *_same(384, 3), cross), _pooled(192))


_HEAD = head(
    *chain(avg_pool(5, 3), _same(128), _valid(768, 5, deviation=0.01)),
    linear(1000, bias=0.0, start=truncated(0.001)),
)

_V3 = chain(
    *(_valid(32, 3, 2), _valid(32, 3), _same(64, 3), _HALVE),
    *(_valid(80, 1), _valid(192, 3), _HALVE),
    *(_mixed_35(32), _mixed_35(64), _mixed_35(64)),
    concat(_valid(384, 3, 2), (*_same(64), *_same(96, 3), *_valid(96, 3, 2)), (_HALVE,)),
    *(_mixed_17(128), _mixed_17(160), _mixed_17(160), _mixed_17(192), _HEAD),
    concat(
        (*_same(192), *_valid(320, 3, 2)),
        (*_same(192), *_same(192, 1, 7), *_same(192, 7, 1), *_valid(192, 3, 2)),
        (_HALVE,),
    ),
    *(_mixed_8(), _mixed_8()),
    *(mean(), dropout(0.2), linear(1000, bias=0.0, start=truncated(0.01))),
)

_OF_TORCHVISION = (
    *differences("torch's own, which torchvision keeps", ("decay", 0.9997, 0.9), ("gain", False, True)),
    *differences("torchvision's mean pools count padded pixels", ("counts padding", False, True)),
    *differences("torchvision's", ("share", 0.2, 0.5), at="dropout"),
    *differences(
        "torchvision cuts off at ±2, which is far beyond two deviations",
        *(("weights start", truncated(deviation), normal(deviation)) for deviation in (0.1, 0.01, 0.001)),
    ),
    *differences(
        "torchvision draws it as it draws convolutions", ("weights start", truncated(0.01), normal(0.1)), at="fc"
    ),
    *differences("torch's own start of a linear layer", ("bias starts", 0.0, "uniform √(1/fan-in)"), at="*fc"),
)

RELEASES = {
    "inception_v3": Release(
        "tensorflow/models inception/inception/slim/inception_model.py, slim/ops.py",
        _V3,
        _OF_TORCHVISION,
    ),
}
