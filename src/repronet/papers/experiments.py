"""Experiments of papers: what each config of ``configs/experiment/`` reproduces, and the facts that a reader needs.

The configs hold only the recipes. The facts of experiments.csv are shown by ``repronet list experiment NAME``, the
pages of the networks and ``results/README.md``. Needs no torch.

A smaller budget has as many epochs as, by :mod:`repronet.papers.cost`, fit into five minutes of two processor cores, or
an hour of one, since two that share caches and memory seldom do twice as much in an hour. Runs that are compared have
equally many epochs, as many as fit for the longest of them; five minutes are a little short for 56 layers.
"""

from __future__ import annotations

from repronet.papers import NETWORKS, published
from repronet.papers.cost import cost
from repronet.papers.records import Error, Experiment
from repronet.papers.sheets import number, rows, texts
from repronet.papers.tables import where

# An error is found by its percentage among the errors of the network ``of``, or if that is empty, of ``network``.
EXPERIMENTS: dict[str, Experiment] = {
    row["name"]: Experiment(
        row["title"],
        row["network"],
        row["dataset"],
        published(row["of"] or row["network"], float(row["published"])) if row["published"] else None,
        number(row["minutes"]),
        number(row["hour"]),
        texts(row["deviations"]),
        row["comparable"] == "yes",
        row["section"],
        row["also"],
        row["context"],
        number(row["images"]),
    )
    for row in rows("experiments")
}


def described(name: str, epochs: int, batch_size: int, normalization: str) -> dict[str, str]:
    """The facts that a reader must know before running an experiment, by heading.

    Args:
        name: a key of :data:`EXPERIMENTS`.
        epochs, batch_size, normalization: values from its config; the batch is that of an optimizer step.
    """
    run = EXPERIMENTS[name]
    facts = NETWORKS[run.network]
    paper, recipe = facts.paper, facts.recipe
    section = run.section or (recipe.citation.where if recipe else "")
    cited = ", ".join(filter(None, (paper.authors, f'"{paper.title}"', where(paper), section)))
    figure = stated(run.published) if run.published else "no figure"
    beside = "" if run.comparable or not run.published else "not comparable with this run"
    epochs_of = {"smoke": 1, "minutes": run.minutes, "hour": run.hour, "paper": epochs}
    return {
        "paper": "; ".join(filter(None, (cited, run.also))),
        "command": f"repronet reproduce {name}",
        "published": "; ".join(filter(None, (figure, run.context, beside))),
        "cost": str(cost(run.network, run.dataset, epochs, batch_size, run.images)),
        "epochs": ", ".join(f"{budget} {count or 'none'}" for budget, count in epochs_of.items()),
        "deviations": "; ".join((*run.deviations, *facts.deviations_with(normalization))),
    }


def stated(error: Error) -> str:
    """``8.75 % (CIFAR-10 test, table 6)``, with any unconfirmed details."""
    protocol = "" if error.protocol == "test images" else error.protocol
    parts = (error.of, protocol, error.kind, error.citation.where, error.unconfirmed)
    return f"{error.percent:g} % ({', '.join(filter(None, parts))})"
