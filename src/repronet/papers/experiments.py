"""The runs of papers: what each config of ``configs/experiment/`` reproduces, and what a reader must know of it.

The configs hold the recipes alone. What is said here is shown by ``repronet list experiment NAME``, the pages of the
networks and ``results/README.md``. Needs no torch.
"""

from __future__ import annotations

from repronet.papers import NETWORKS
from repronet.papers.cost import cost
from repronet.papers.experiments_imagenet import IMAGENET
from repronet.papers.experiments_small import SMALL
from repronet.papers.records import Error, Experiment
from repronet.papers.tables import where

EXPERIMENTS: dict[str, Experiment] = {**SMALL, **IMAGENET}


def described(name: str, epochs: int, batch_size: int, normalization: str) -> dict[str, str]:
    """What a reader must know of an experiment before it is run, by heading.

    Args:
        name: a key of :data:`EXPERIMENTS`.
        epochs, batch_size, normalization: of its config; the batch is that of an optimizer step.
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
        "cost": cost(run.network, run.dataset, epochs, batch_size),
        "epochs": ", ".join(f"{budget} {count or 'none'}" for budget, count in epochs_of.items()),
        "deviations": "; ".join((*run.deviations, *facts.deviations_with(normalization))),
    }


def stated(error: Error) -> str:
    """``8.75 % (CIFAR-10 test, table 6)``, with what is unconfirmed of it."""
    protocol = "" if error.protocol == "test images" else error.protocol
    parts = (error.of, protocol, error.kind, error.citation.where, error.unconfirmed)
    return f"{error.percent:g} % ({', '.join(filter(None, parts))})"
