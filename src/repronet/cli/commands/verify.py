"""``repronet verify``: compare each network with its paper or its authors' release, in one line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track
from rich.text import Text

from repronet.analysis.release import Found, Row, Verdict, compare
from repronet.analysis.verification import verify
from repronet.errors import UserError
from repronet.papers import NETWORKS
from repronet.papers.releases import NONE_KNOWN, RELEASES
from repronet.papers.tables import short
from repronet.terminal import wrapped


def run(config: DictConfig, console: Console) -> bool:
    """Print PASS or FAIL for each network; returns whether all passed."""
    alone = config.model.name if "model" in config else None
    if config.source == "release":
        return _against_releases(alone, console)
    names = [alone] if alone else list(NETWORKS)
    if names[0] not in NETWORKS:
        raise UserError(f"model={alone}: no paper to compare it with")
    total, failed = 0, 0
    for name in _tracked(names, console):
        checks = verify(name)
        wrong = [check for check in checks if not check.passed]
        total, failed = total + len(checks), failed + bool(wrong)
        facts = NETWORKS[name]
        kind, parameters = "modern" if facts.modern else "faithful", f"{short(facts.parameters):>7} parameters"
        line = Text("FAIL", "bold red") if wrong else Text("PASS", "green")
        about = f"  {name:<20}{facts.paper.year}  {parameters}  {kind:<8}  {len(checks)} checks"
        console.print(line.append(about, "default"))
        for found in checks if alone else wrong:
            line = Text("  ok    " if found.passed else "  WRONG ", "green" if found.passed else "bold red")
            line.append(f"{found.what}: {found.found}, expected {found.expected}", "default")
            console.print(line, soft_wrap=True)
    networks = f"{len(names)} network{'s' if len(names) > 1 else ''}"
    if failed:
        console.print(Text(f"\n{failed} of {networks} not as expected", "bold red"))
    else:
        console.print(Text(f"\n{networks}, {total} checks: all as expected", "bold green"))
    return failed == 0


def _tracked(names: Sequence[str], console: Console) -> Iterable[str]:
    waits = len(names) > 1 and console.is_terminal
    return track(names, "verifying", console=console, transient=True, disable=not waits)


def _against_releases(alone: str | None, console: Console) -> bool:
    names = [alone] if alone else list(RELEASES)
    if names[0] in NONE_KNOWN:
        raise UserError(f"model={alone}: no released definition by its authors is known")
    if names[0] not in RELEASES:
        raise UserError(f"model={alone}: repronet.papers.releases has no release of it; leave source=sizes")
    verdicts = []
    for name in _tracked(names, console):
        verdict = compare(name)
        verdicts.append(verdict)
        line = Text("PASS" if verdict.passed else "FAIL", "green" if verdict.passed else "bold red")
        console.print(line.append(f"  {name:<20}{_counts([verdict])}", "default"))
        for line in (*_reasons(verdict), *_operators(verdict.rows)) if alone else _unnamed(verdict):
            console.print(line, soft_wrap=True)
    failed = sum(not verdict.passed for verdict in verdicts)
    total = f"{len(names)} network{'s' if len(names) > 1 else ''}, {_counts(verdicts)}"
    said = f"{failed} not as released" if failed else "all as released, except listed differences"
    console.print(Text(f"\n{wrapped(f'{total}: {said}')}", "bold red" if failed else "bold green"), soft_wrap=True)
    return not failed


def _counts(verdicts: Sequence[Verdict]) -> str:
    operators, checks = (sum(getattr(verdict, n) for verdict in verdicts) for n in ("operators", "checks"))
    named = sum(len(verdict.release.differences) - len(verdict.stale) for verdict in verdicts)
    return f"{operators:,} operators, {checks:,} checks, {named} listed difference{'' if named == 1 else 's'}"


def _operators(rows: Sequence[Row]) -> Iterator[Text]:
    """One line for each operator, with its differences."""
    for row in rows:
        right = all(found.why is not None for found in row.found)
        word = ("named" if row.found else "ok") if right else "WRONG"
        found = "; ".join(map(str, row.found))
        line = Text(wrapped(f"  {word:<6}{row.where:<28} {row.theirs}{f' | {found}' if found else ''}"))
        line.stylize({"ok": "green", "named": "yellow", "WRONG": "bold red"}[word], 0, 2 + len(word))
        yield line


def _reasons(verdict: Verdict) -> Iterator[Text]:
    """The source of the release, and the reason for each listed difference."""
    note = f" ({verdict.release.note})" if verdict.release.note else ""
    yield Text(wrapped(f"released in {verdict.release.source}{note}"))
    for found, times in Counter(found for row in verdict.rows for found in row.found if found.why is not None).items():
        yield Text(wrapped(f"  {found}, {times}×: {found.why}"))
    yield from _unnamed(verdict)


def _unnamed(verdict: Verdict) -> Iterator[Text]:
    """Each unlisted difference once, with its first place, and listed ones that are no longer there."""
    places: dict[Found, list[str]] = {}
    for row in verdict.rows:
        for found in row.found:
            if found.why is None:
                places.setdefault(found, []).append(row.where)
    for found, where in places.items():
        more = f" and {len(where) - 1} more" if len(where) > 1 else ""
        yield Text("  WRONG ", "bold red").append(f"{where[0]}{more}: {found}", "default")
    for named in verdict.stale:
        yield Text("  STALE ", "bold red").append(f"{named.at}: {named}: listed, but no longer there", "default")
