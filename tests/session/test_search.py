"""What Optuna is asked for and told: values by Hydra's words, errors after each epoch, and what is stopped for them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from repronet.errors import UserError
from repronet.training.callbacks.history import History

optuna = pytest.importorskip("optuna", reason="Optuna searches")
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402

from repronet.session.search import Search, corners, distributions, words  # noqa: E402
from repronet.training.callbacks.pruning import PRUNED, ReportsToStudy  # noqa: E402


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("optimizer.lr=interval(1e-3,1)", FloatDistribution(0.001, 1.0)),
        ("optimizer.lr=tag(log, interval(1e-3,1))", FloatDistribution(0.001, 1.0, log=True)),
        ("data.batch_size=int(interval(16,64))", IntDistribution(16, 64)),
        ("data.batch_size=range(16,65,16)", IntDistribution(16, 64, step=16)),
        ("optimizer.lr=0.1,0.01", CategoricalDistribution(["0.1", "0.01"])),
        ("optimizer=choice(sgd,adam)", CategoricalDistribution(["sgd", "adam"])),
        ("model=glob(lenet5*)", CategoricalDistribution(["lenet5", "lenet5_1998"])),
    ],
)
def test_hydra_s_sweeps_are_optuna_s_distributions(word, found):
    assert distributions([word]) == {word.partition("=")[0]: found}


@pytest.mark.parametrize("word", ["optimizer.lr=interval(1,0.1)", "optimizer.lr=tag(log, interval(0,1))"])
def test_an_interval_rises(word):
    with pytest.raises(UserError, match="must rise"):
        distributions([word])


def test_the_ends_of_every_space_are_looked_at():
    found = list(corners(["optimizer.lr=interval(0.5,1)", "optimizer=sgd,adam,adamw"]))
    assert {word for job in found for word in job} == {
        *("optimizer.lr=0.5", "optimizer.lr=1", "optimizer=sgd", "optimizer=adam", "optimizer=adamw")
    }


def test_words_have_six_digits():
    assert words({"optimizer.lr": 0.123456789, "data.batch_size": 3, "optimizer": "sgd"}) == [
        *("optimizer.lr=0.123457", "data.batch_size=3", "optimizer=sgd")
    ]


SETTINGS = {"trials": 4, "sampler": "tpe", "seed": 5, "pruner": "median", "spared": 1, "storage": None, "study": None}


@pytest.mark.parametrize("storage", [None, "shared.db", "shared.journal"])
def test_a_study_is_shared_and_what_was_stopped_is_missing(tmp_path, storage):
    settings = SETTINGS | {"storage": storage and str(tmp_path / storage)}
    search = Search(tmp_path, settings, (), ("optimizer.lr=interval(0,1)",))
    assert len(list(search.jobs(()))) == 4
    ours, other = search.study().ask(), search.study().ask()  # two processes
    assert (ours.number, other.number) == (0, 1)
    ours.suggest_float("optimizer.lr", 0, 1)
    ours.set_user_attr("sweep", tmp_path.name)
    jobs = list(search.jobs(()))
    assert [job.number for job in jobs] == [0, None, None]  # the other is another machine's
    assert jobs[0].name == search.folder_of(0, ours.params)
    search.study().tell(0, 0.25)
    assert [job.number for job in search.jobs(())] == [None, None]
    assert "trial 1" in search.best()


def test_each_trial_has_a_seed_of_its_own(tmp_path):
    search = Search(tmp_path, SETTINGS, (), ())
    values = []
    for _ in range(2):
        study = search.study()
        trial = study.ask()
        study.sampler = search.sampler(trial.number)
        values.append(trial.suggest_float("x", 0, 1))
    assert values[0] != values[1]


def rows(*errors):
    history = History.__new__(History)
    history.rows = [{"epoch": number, "val_error": error} for number, error in enumerate(errors, start=1)]
    return history


def test_a_run_that_is_worse_than_the_median_is_ended(tmp_path):
    study = Search(tmp_path, SETTINGS, (), ()).study()
    good = study.ask()
    for epoch in (1, 2, 3):
        good.report(0.1, epoch)
    study.tell(good, 0.1)
    trial, trainer = study.ask(), SimpleNamespace(callbacks=[rows(0.9)], should_stop=False)
    reports = ReportsToStudy(trial)
    reports.on_train_epoch_end(trainer, None)
    assert not trainer.should_stop  # the first epoch is spared
    trainer.callbacks = [rows(0.9, 0.9)]
    reports.on_train_epoch_end(trainer, None)
    assert trainer.should_stop
    assert study.trials[1].user_attrs == {PRUNED: True}
    assert study.trials[1].intermediate_values == {1: 0.9, 2: 0.9}
    reports.on_train_epoch_end(trainer, None)  # resumed within the epoch: said once
    again = SimpleNamespace(should_stop=False)
    ReportsToStudy(optuna.Trial(study, study.trials[1]._trial_id)).on_train_start(again, None)
    assert again.should_stop


def test_without_validation_nothing_is_reported(tmp_path):
    study = Search(tmp_path, SETTINGS, (), ()).study()
    trial = study.ask()
    ReportsToStudy(trial).on_train_epoch_end(SimpleNamespace(callbacks=[rows(None)], should_stop=False), None)
    assert study.trials[0].intermediate_values == {}


@pytest.mark.parametrize(
    ("more", "holds"),
    [
        (["optimizer.lr=0.1"], "nothing to choose"),
        (["optimizer.lr=interval(-1,1)"], "optimizer.lr=-1"),
        (["optimizer=sgd,sdg"], "nearest: sgd"),
        (["seed=0,1", "run_dir=x"], "cannot share a folder"),
        (["seed=0,1", "search.storage=x.txt"], "a .journal file"),
        (["seed=0,1", "search.trials=0"], "at least 1"),
    ],
)
def test_what_makes_no_search_is_one_line(repronet, tmp_path, more, holds):
    outcome = repronet("train", "-m", "search=optuna", *more)
    assert outcome.code == 2
    assert holds in outcome.err
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_it_is_one_line(repronet, monkeypatch):
    monkeypatch.setattr("repronet.session.search.find_spec", lambda _: None)
    outcome = repronet("train", "-m", "search=optuna", "seed=0,1")
    assert (outcome.code, outcome.err) == (2, "repronet: search=optuna: the package is missing; pip install optuna\n")


@pytest.mark.slow
def test_a_bad_trial_is_pruned_and_the_best_is_named(repronet, tmp_path):
    tiny = ("data.per_class=20", "trainer.max_epochs=4", "trainer.board=none", "layers=torch", "augmentation=none")
    asked = ("search=optuna", "search.trials=4", "search.spared=1", "search.seed=3", "optimizer.lr=1e-9,0.1")
    outcome = repronet("train", "-m", *asked, *tiny)
    assert (outcome.code, outcome.err) == (0, "")
    assert "optimizer.lr=0.1" in outcome.out.splitlines()[-1]
    assert "pruned" in outcome.out.splitlines()[-1]
