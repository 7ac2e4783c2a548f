"""Cuts of a labelled set into training, validation and test: stratified, by whole groups, or fold by fold."""

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

NEAR = 0.2  # of the size that is asked for: near enough where groups stay whole


@dataclass(frozen=True)
class Cut:
    """How splits are made that the data do not have."""

    val: float | int | str  # the share of the training images that validate, or their number
    test: float | int  # as much that is tested
    seed: int = SPLIT_SEED  # of both, and of the folds
    folds: int | None = None  # the number of parts of which one is held out in their stead; None: there are none
    fold: int | None = None  # which one, from 0


def partition(given: Mapping[str, Part], cut: Cut, tested: bool = False) -> tuple[Part, Part, Part | None]:
    """Training, validation and test, out of the splits that the data have by name, or all of it as one.

    A validation split that is not there is carved out of training, and a test split where neither is there. Of folds,
    one is the test split, or, where there is a test split, the validation split.

    Args:
        tested: carve a test split also beside a validation split that is there.

    Raises:
        UserError: when nothing would be taken or left, or the data have all three and so nothing to fold.
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
    """What is left of ``whole``, and the stratified part that was taken out of it.

    Args:
        share: how much is taken: a fraction, or a number of images; as near to it as whole groups come.
        key: the config key that says so, for the errors.

    Raises:
        UserError: when nothing would be taken or left.
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
    """The rows of some groups, with each class by its share: of all folds the one whose size is nearest to ``count``.

    Where one group is much larger than others, fewer folds than the sizes suggest may come nearer.
    """
    assert whole.groups is not None
    found: list[Tensor] = []
    for folds in range(max(min(round(len(whole) / count), len(whole.groups.unique())), 2), 1, -1):
        found = sorted([*found[:1], *folds_of(whole, folds, seed)], key=lambda rows: abs(len(rows) - count))
        if abs(len(found[0]) - count) <= NEAR * count:
            break
    return found[0]


def without(whole: Part, taken: Tensor) -> Part:
    """What is left of ``whole``, in its order, without the rows ``taken``."""
    left = torch.ones(len(whole.labels), dtype=torch.bool)
    left[taken] = False
    return whole.rows(torch.nonzero(left).flatten())


def folds_of(whole: LabelledImages, folds: int, seed: int) -> list[Tensor]:
    """The rows of each of ``folds`` parts of about the same size, each class in every part by its share, groups whole.

    These are the test rows of scikit-learn's StratifiedKFold, or StratifiedGroupKFold, shuffled by ``seed``.

    Raises:
        UserError: where there are too few groups, or too few images of every class.
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
    """What a cut is stratified by, int64 (N,): the label; of several the rarest; of none the number of classes."""
    if labels.ndim == 1:
        return labels
    counts = labels.sum(dim=0)  # (N, classes) → (classes,)
    rarity = torch.where(labels > 0, counts, len(labels) + 1)  # (N, classes)
    return torch.where(labels.any(dim=1), rarity.argmin(dim=1), labels.shape[1])


def by_rarest(dataset: ImageDataset) -> ImageDataset:
    """Each image under the rarest of its labels, those without any left out; as it is where each has one."""
    if not dataset.multilabel:
        return dataset

    def single(split: LabelledImages) -> LabelledImages:
        labels = strata(split.labels)
        known = torch.nonzero(labels < len(dataset.classes)).flatten()
        return split.rows(known).relabelled(labels[known])

    return each_split(dataset, single, dataset.classes)


def few(dataset: ImageDataset, per_class: int | Mapping[Any, float], seed: int = SPLIT_SEED) -> ImageDataset:
    """At most ``per_class`` training images of each class, or each rarest one; the other splits stay whole.

    Args:
        per_class: a number, or by the names of some classes a number or a share of their images each.
        seed: which images are taken; the smaller of two numbers takes a part of what the larger one does.

    Raises:
        UserError: for a name that the dataset has not.
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
    """Rows of ``labels`` dealt into parts of exactly ``sizes``, each class in every part by its share of the whole.

    Within a class the rows are shuffled by ``seed``. Rounding is settled by largest remainder, so that the parts have
    exactly the sizes asked for.

    Raises:
        ValueError: when the sizes do not add up to the number of labels.
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
    """The rows of each class, shuffled by the generator of ``purpose``, ``seed`` and the class."""
    for label in range(int(labels.max()) + 1):
        rows = torch.nonzero(labels == label).flatten()
        yield rows[torch.randperm(len(rows), generator=counter_generator(purpose, seed, label))]


def _shares(counts: Tensor, size: int) -> Tensor:
    """``size`` dealt out in proportion to ``counts``: floors first, then one more to the largest remainders."""
    exact = counts.double() * size / counts.sum()
    shares = exact.floor().long()
    short = size - int(shares.sum())
    shares[(exact - shares).sort(descending=True, stable=True).indices[:short]] += 1
    return shares
