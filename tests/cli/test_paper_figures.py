"""Papers' figures drawn from records, and what is said of them."""

from __future__ import annotations

import pytest

from conftest import REPOSITORY
from made_up_records import made_up
from repronet.papers.experiments import EXPERIMENTS
from repronet.papers.figures import FIGURES
from repronet.reproduction import record as records

RESULTS = f"results={REPOSITORY / 'results'}"


def test_every_figure_names_experiments_that_there_are():
    for figure in FIGURES.values():
        assert set(figure.experiments) <= EXPERIMENTS.keys()


def has_records(name: str) -> bool:
    return any((REPOSITORY / "results" / experiment).is_dir() for experiment in FIGURES[name].experiments)


@pytest.mark.parametrize("name", [name for name in FIGURES if has_records(name)])
def test_the_committed_records_draw_it(repronet, tmp_path, name):
    outcome = repronet("reproduce", "figure", name, RESULTS)
    assert (outcome.code, outcome.err) == (0, "")
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    lacking = [name for name in FIGURES[name].experiments if not (REPOSITORY / "results" / name).is_dir()]
    assert ("no run of " in outcome.out) == bool(lacking)


def test_the_longest_budget_is_drawn_and_said(repronet, tmp_path):
    for budget, error in (("minutes", 0.5), ("paper", 0.0875)):
        records.write(tmp_path / "results", made_up("resnet20_cifar10", 0, error, budget=budget))
    out = repronet("reproduce", "figure", "he_6", "out=here.png").out
    assert "resnet20_cifar10: 8.75 % (1), paper 8.75 %; paper: 3 epochs, 2 min\n" in out
    assert "no run of plain20_cifar10, plain32_cifar10" in out
    assert (tmp_path / "here.png").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "takes one of he_6, krizhevsky_1, ioffe_2, lecun_5, recipes_resnet20, recipes_lenet5"),
        (("he_7",), "recipes_lenet5; nearest: he_6"),
        (("recipes_lenet5",), "reproduce figure recipes_lenet5: results=results has no run of recipe_1998_lenet5"),
        (("lecun_5",), "reproduce figure lecun_5: results=results has no run of lenet5_1998_mnist"),
        (("lecun_5", "out=x.jpg"), "out=x.jpg: must be the name of a .png file"),
    ],
)
def test_bad_words_are_one_line(repronet, words, said):
    outcome = repronet("reproduce", "figure", *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1
