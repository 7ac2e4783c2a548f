"""Compare our networks with their authors' releases, operator by operator."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatch
from itertools import pairwise

from repronet.analysis.layer_settings import Start
from repronet.analysis.traced import Step, traced
from repronet.papers.releases import RELEASES, Difference, Operator, Release
from repronet.papers.releases.notation import Chain, shown

NONE = "none"  # the missing side of an operator that only one side has


@dataclass(frozen=True)
class Found:
    """A difference that was found, in words; `why` is None if the release does not name this difference."""

    what: str
    theirs: str
    ours: str
    why: str | None = None

    def __str__(self) -> str:
        return f"{self.what}: theirs {self.theirs}, ours {self.ours}"


@dataclass(frozen=True)
class Row:
    """An operator of the release, or one of ours that the release lacks."""

    theirs: str  # the operator in words, or "none"
    where: str  # its path in our network; for an operator that only they have, the path before it
    checks: int  # the number of comparisons
    found: tuple[Found, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The result of comparing one network."""

    release: Release
    rows: tuple[Row, ...]
    stale: tuple[Difference, ...]  # named differences that are no longer there

    @property
    def unnamed(self) -> int:
        return sum(found.why is None for row in self.rows for found in row.found)

    @property
    def passed(self) -> bool:
        return not self.unnamed and not self.stale

    @property
    def operators(self) -> int:
        return sum(row.theirs != NONE for row in self.rows)

    @property
    def checks(self) -> int:
        return sum(row.checks for row in self.rows)


def compare(name: str) -> Verdict:
    """Compare a network of ours with its release.

    Raises:
        KeyError: for a network without a release.
    """
    release = RELEASES[name]
    theirs, ours = _settled(written(release.operators)), _settled(traced(name, release.dropout))
    pairs = _aligned(theirs, ours)
    used: set[Difference] = set()
    rows = []
    for row in _rows(theirs, ours, pairs):
        found = []
        for difference in row.found:
            named = next((d for d in release.differences if _names(d, difference, row.where)), None)
            used.update((named,) if named else ())
            found.append(Found(difference.what, difference.theirs, difference.ours, named.why if named else None))
        rows.append(Row(row.theirs, row.where, row.checks, tuple(found)))
    return Verdict(release, tuple(rows), tuple(d for d in release.differences if d not in used))


def _names(named: Difference, found: Found, where: str) -> bool:
    said = (named.what, shown(named.theirs), shown(named.ours))
    return said == (found.what, found.theirs, found.ours) and fnmatch(where, named.at)


def written(operators: Chain) -> list[Step]:
    """The steps of a release, in the order of :func:`repronet.analysis.traced.traced`."""
    steps: list[Step] = []
    heads: list[tuple[Chain, int]] = []

    def walk(operators: Chain, at: int) -> int:
        for operator in operators:
            if operator.kind == "head":
                heads.append((operator.branches[0], at))
                continue
            inputs = tuple(ends(operator, at)) if operator.branches else (at,)
            steps.append(Step(operator.kind, operator.settings, inputs))
            at = len(steps) - 1
        return at

    def ends(operator: Operator, at: int) -> Iterator[int]:
        for branch in operator.branches:
            if branch and branch[-1].kind == operator.kind == "concatenation":
                yield from ends(branch[-1], walk(branch[:-1], at))
            else:
                yield walk(branch, at)

    walk(operators, -1)
    for operators, at in heads:
        walk(operators, at)
    return steps


def _settled(steps: Sequence[Step]) -> list[Step]:
    """Move a ReLU that directly follows a max pool before it, which gives the same numbers."""
    steps = list(steps)
    fed = [i for step in steps for i in step.inputs]
    for i, (pool, relu) in enumerate(pairwise(steps)):
        if (pool.kind, relu.kind, relu.inputs) == ("max pool", "relu", (i,)) and fed.count(i) == 1:
            steps[i : i + 2] = (
                Step(relu.kind, relu.settings, pool.inputs, relu.where),
                Step(pool.kind, pool.settings, (i,), pool.where),
            )
    return steps


Pair = tuple[int | None, int | None]


def _aligned(theirs: Sequence[Step], ours: Sequence[Step]) -> list[Pair]:
    """Pairs of corresponding steps, (theirs, ours), in order; None where one side has none."""
    keys = [[(s.kind, s.settings.get("maps", s.settings.get("outputs"))) for s in side] for side in (theirs, ours)]
    if [kind for kind, _ in keys[0]] == [kind for kind, _ in keys[1]]:
        return [(i, i) for i in range(len(theirs))]
    pairs: list[Pair] = []
    for _, i, i_end, j, j_end in SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        both = min(i_end - i, j_end - j)
        pairs += [(i + n, j + n) for n in range(both)]
        pairs += [(n, None) for n in range(i + both, i_end)]
        pairs += [(None, n) for n in range(j + both, j_end)]
    return pairs


def _rows(theirs: Sequence[Step], ours: Sequence[Step], pairs: list[Pair]) -> Iterator[Row]:
    number = ({i: n for n, (i, _) in enumerate(pairs)}, {j: n for n, (_, j) in enumerate(pairs)})

    def feeding(side: int, steps: Sequence[Step], inputs: tuple[int, ...]) -> list[int]:
        """The pairs that feed a step, skipping steps that only its side has."""
        found = []
        for i in inputs:
            while i >= 0 and None in pairs[number[side][i]]:
                i = steps[i].inputs[0]
            found.append(number[side][i] if i >= 0 else -1)
        return found

    def places(numbers: list[int]) -> str:
        return ", ".join("the image" if n < 0 else _place(ours, pairs, n) for n in numbers)

    for n, (i, j) in enumerate(pairs):
        place = _place(ours, pairs, n)
        if i is None or j is None:
            words = [NONE if k is None else _words(side[k]) for side, k in ((theirs, i), (ours, j))]
            yield Row(words[0], place, 1, (Found("operator", *words),))
            continue
        checks, found = _differences(theirs[i], ours[j])
        fed = [feeding(side, steps, steps[k].inputs) for side, steps, k in ((0, theirs, i), (1, ours, j))]
        if fed[0] != fed[1]:
            found = (*found, Found("fed by", places(fed[0]), places(fed[1])))
        yield Row(_words(theirs[i]), place, checks + 1, found)


def _place(ours: Sequence[Step], pairs: list[Pair], number: int) -> str:
    """The path of our step in that pair, or of the last step before it that has one."""
    numbers = (j for _, j in reversed(pairs[: number + 1]) if j is not None)
    return next((ours[j].where for j in numbers if ours[j].where), "")


def _differences(theirs: Step, ours: Step) -> tuple[int, tuple[Found, ...]]:
    """The number of comparisons of the two steps, and the differences."""
    if theirs.kind != ours.kind:
        return 1, (Found("operator", _words(theirs), _words(ours)),)
    found = []
    # Our settings contain the rounding only if it makes a difference for these maps.
    stated = {what: value for what, value in theirs.settings.items() if what != "rounds" or what in ours.settings}
    for what, value in stated.items():
        mine = ours.settings.get(what)
        mine = mine.like(value) if isinstance(mine, Start) else mine
        if not _same(value, mine):
            found.append(Found(what, shown(value), shown(mine)))
    return 1 + len(stated), tuple(found)


def _same(theirs: object, ours: object) -> bool:
    if isinstance(theirs, float) and isinstance(ours, int | float):
        return math.isclose(theirs, ours, rel_tol=1e-6)
    return theirs == ours


_OPENING = ("maps", "outputs", "share", "window")  # settings written without their name


def _words(step: Step) -> str:
    """A step in words, such as ``max pool 3, stride 2, padding 0``."""
    settings = {what: value for what, value in step.settings.items() if value is not None}
    opening = [shown(settings[what]) for what in _OPENING if what in settings]
    rest = [f"{what} {shown(value)}" for what, value in settings.items() if what in ("stride", "padding", "size")]
    return ", ".join([" ".join([step.kind, *opening]), *rest])
