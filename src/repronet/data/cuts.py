"""Splitting a labelled set into training, validation and test: stratified, by whole groups, or into folds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from repronet.data.folders import WHOLE, chosen_classes
from repronet.data.randomness import counter_generator
from repronet.data.splits import SPLIT_SEED, ImageDataset, LabelledImages, Part, each_split
from repronet.errors import UserError

NEAR = 0.2  # accepted deviation from the requested size, as a share of it, where groups stay whole


@dataclass(frozen=True)
class Cut:
    """How to make the splits that the data lack."""

    val: float | int | str  # the share or number of training images used for validation
    test: float | int  # the same for test
    seed: int = SPLIT_SEED  # for both, and for the folds
    folds: int | None = None  # the number of folds, one of which is held out instead; None: no folds
    fold: int | None = None  # the fold that is held out, from 0


def partition(given: Mapping[str, Part], cut: Cut, tested: bool = False) -> tuple[Part, Part, Part | None]:
    """Make training, validation and test splits from the named splits of the data, or from one whole set.

    A missing validation split is carved out of training; a missing test split too, if validation is also missing. With
    folds, the held-out fold is the test split or, if the data have a test split, the validation split.

    Args:
        tested: carve a missing test split even if the data have a validation split.

    Raises:
        UserError: if a part would be empty, ``cut.val`` is "paper", or folds are asked for and no split is missing.
    """
    if cut.val == "paper":
        raise UserError("data.val=paper: only works for published datasets; give a fraction or a number, 0.1 or 500")
    train, val, test = given.get("train") or given[WHOLE], given.get("val"), given.get("test")
    if cut.folds is not None and cut.fold is not None:
        if val is not None and test is not None:
            raise UserError(f"data.folds={cut.folds}: the data have validation and test of their own; leave it out")
        rows = folds_of(train, cut.folds, cut.seed)[cut.fold]
        held, train = train.rows(rows), without(train, rows)
        val, test = (held, test) if test is not None else (val, held)
    if test is None and (val is None or tested):
        train, test = carve(train, cut.test, "data.test", cut.seed)
    if val is None:
        train, val = carve(train, cut.val, "data.val", cut.seed)  # type: ignore[arg-type]
    return train, val, test


def carve(whole: Part, share: float | int, key: str, seed: int = SPLIT_SEED) -> tuple[Part, Part]:
    """Take a stratified part out of ``whole``; return the rest, then that part.

    Args:
        share: how much to take: a fraction or a number of images; approximate if groups must stay whole.
        key: the config key of ``share``, for error messages.

    Raises:
        UserError: if nothing would be taken or left.
    """
    total = len(whole.labels)
    count = share if isinstance(share, int) else round(share * total)
    if not 0 < count < total:
        raise UserError(f"{key}={share}: takes {count} of {total:,} images; both parts need at least one")
    if whole.groups is not None:
        taken = _groups_of_about(count, whole, seed)
    else:
        taken = stratified_parts(strata(whole.labels), sizes=(total - count, count), seed=seed)[1]
    return without(whole, taken), whole.rows(taken)


def _groups_of_about(count: int, whole: LabelledImages, seed: int) -> Tensor:
    """The rows of some whole groups, stratified by class: the fold whose size is nearest to ``count``.

    If one group is much larger than the others, fewer folds than the sizes suggest may come nearer.
    """
    assert whole.groups is not None
    found: list[Tensor] = []
    for folds in range(max(min(round(len(whole) / count), len(whole.groups.unique())), 2), 1, -1):
        found = sorted([*found[:1], *folds_of(whole, folds, seed)], key=lambda rows: abs(len(rows) - count))
        if abs(len(found[0]) - count) <= NEAR * count:
            break
    return found[0]


def without(whole: Part, taken: Tensor) -> Part:
    """``whole`` without the rows ``taken``, in its order."""
    left = torch.ones(len(whole.labels), dtype=torch.bool)
    left[taken] = False
    return whole.rows(torch.nonzero(left).flatten())


def folds_of(whole: LabelledImages, folds: int, seed: int) -> list[Tensor]:
    """The rows of each of ``folds`` parts of about the same size, stratified by class, with groups kept whole.

    These are the test rows of scikit-learn's StratifiedKFold, or StratifiedGroupKFold, shuffled by ``seed``.

    Raises:
        UserError: if there are fewer groups than folds, or no class has that many images.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    labels, groups = strata(whole.labels).numpy(), whole.groups
    if groups is not None and len(groups.unique()) < folds:
        raise UserError(
            f"data: cannot be cut into {folds} parts: groups stay whole, and there are {len(groups.unique())}"
        )
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    cut = kind(folds, shuffle=True, random_state=seed)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The least populated class")  # the run's notes say it better
            found = cut.split(labels, labels, None if groups is None else groups.numpy())
            parts = [torch.from_numpy(rows) for _, rows in found]
    except ValueError as error:
        raise UserError(f"data: cannot be cut into {folds} parts: no class has {folds} images") from error
    return parts


def strata(labels: Tensor) -> Tensor:
    """The class to stratify by, int64 (N,): the label; the rarest of several; the number of classes if none."""
    if labels.ndim == 1:
        return labels
    counts = labels.sum(dim=0)  # (N, classes) → (classes,)
    rarity = torch.where(labels > 0, counts, len(labels) + 1)  # (N, classes)
    return torch.where(labels.any(dim=1), rarity.argmin(dim=1), labels.shape[1])


def by_rarest(dataset: ImageDataset) -> ImageDataset:
    """Give each image only the rarest of its labels and leave out images without any; unchanged if single-label."""
    if not dataset.multilabel:
        return dataset

    def single(split: LabelledImages) -> LabelledImages:
        labels = strata(split.labels)
        known = torch.nonzero(labels < len(dataset.classes)).flatten()
        return split.rows(known).relabelled(labels[known])

    return each_split(dataset, single, dataset.classes)


def few(dataset: ImageDataset, per_class: int | Mapping[Any, float], seed: int = SPLIT_SEED) -> ImageDataset:
    """Keep at most ``per_class`` training images per class (the rarest of several); other splits stay whole.

    Args:
        per_class: a number, or a mapping from the names of some classes to a number or a share of their images.
        seed: determines which images are taken; a smaller number takes a subset of what a larger one takes.

    Raises:
        UserError: for a name that is not a class of the dataset.
    """
    chosen = list(_shuffled(strata(dataset.train.labels), "few", seed))
    if isinstance(per_class, Mapping):
        names = chosen_classes(per_class, dataset.classes, "data.per_class")
        for label, most in zip(map(dataset.classes.index, names), per_class.values(), strict=True):
            chosen[label] = chosen[label][: most if most >= 1 else max(round(most * len(chosen[label])), 1)]
    else:
        chosen = [rows[:per_class] for rows in chosen]
    return replace(dataset, train=dataset.train.rows(torch.cat(chosen).sort().values))


def stratified_parts(labels: Tensor, sizes: tuple[int, ...], seed: int) -> tuple[Tensor, ...]:
    """Divide the rows of ``labels`` into parts of exactly ``sizes``, with each class in proportion in every part.

    Within a class, rows are shuffled by ``seed``. Rounding is by largest remainder, so that the sizes are exact.

    Raises:
        ValueError: if the sizes do not add up to the number of labels.
    """
    if sum(sizes) != len(labels):
        raise ValueError(f"sizes {sizes} add up to {sum(sizes)}, but there are {len(labels)} labels")
    shuffled = list(_shuffled(labels, "split", seed))
    parts = []
    for position, size in enumerate(sizes):
        left = torch.tensor([len(rows) for rows in shuffled])
        last = position == len(sizes) - 1
        take = left if last else _shares(left, size)
        parts.append(torch.cat([rows[:n] for rows, n in zip(shuffled, take.tolist(), strict=True)]).sort().values)
        shuffled = [rows[n:] for rows, n in zip(shuffled, take.tolist(), strict=True)]
    return tuple(parts)


def _shuffled(labels: Tensor, purpose: str, seed: int) -> Iterator[Tensor]:
    """The rows of each class, shuffled by a generator that depends on ``purpose``, ``seed`` and the class."""
    for label in range(int(labels.max()) + 1):
        rows = torch.nonzero(labels == label).flatten()
        yield rows[torch.randperm(len(rows), generator=counter_generator(purpose, seed, label))]


def _shares(counts: Tensor, size: int) -> Tensor:
    """Divide ``size`` in proportion to ``counts``: round down, then add one for the largest remainders."""
    exact = counts.double() * size / counts.sum()
    shares = exact.floor().long()
    short = size - int(shares.sum())
    shares[(exact - shares).sort(descending=True, stable=True).indices[:short]] += 1
    return shares
