"""Learning without Forgetting: the formula, what is trained and what is not, and that less is forgotten."""

from __future__ import annotations

import signal

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from interruptions import Strike, Trial
from repronet import models, runs
from repronet.errors import UserError
from repronet.figures.charts import read_history
from repronet.training.checkpoints import read_checkpoint
from repronet.training.distillation import LearningWithoutForgetting, distillation, head_of, with_head


def test_distillation_is_the_papers_cross_entropy_of_tempered_probabilities():
    torch.manual_seed(0)
    new, old = torch.randn(6, 4, dtype=torch.float64), torch.randn(6, 4, dtype=torch.float64)
    # As the paper writes it: y' = y^(1/T) / Σ y^(1/T).
    tempered = [(p ** (1 / 2)) / (p ** (1 / 2)).sum(1, keepdim=True) for p in (old.softmax(1), new.softmax(1))]
    expected = -(tempered[0] * tempered[1].log()).sum(1).mean()
    torch.testing.assert_close(distillation(new, old, 2.0), expected)
    torch.testing.assert_close(distillation(new, old, 1.0), F.cross_entropy(new, old.softmax(1)))


def test_its_gradient_is_zero_where_nothing_was_forgotten():
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    distillation(logits, logits.detach(), 2.0).backward()
    assert logits.grad.abs().max() < 1e-15


def test_the_teacher_is_not_trained_and_the_old_head_is():
    torch.manual_seed(0)
    network, old = models.create("lenet5", num_classes=4), models.create("lenet5", num_classes=6)
    keeping = LearningWithoutForgetting(network.train(), old, weight=1.0, temperature=2.0)
    images = torch.randn(3, 1, 32, 32)
    network(images)
    keeping.loss(images).backward()
    assert all(weight.grad is None for weight in keeping.teacher.parameters())
    assert keeping.old_head.weight.grad.abs().sum() > 0
    assert network.c1.weight.grad.abs().sum() > 0
    assert network.output.weight.grad is None  # the new head answers for the new classes alone


def test_with_head_leaves_the_network_as_it_is():
    network = models.create("resnet20", num_classes=4)
    twin = with_head(network, nn.Linear(64, 9))
    images = torch.zeros(1, 3, 32, 32)
    assert twin(images).shape == (1, 9)
    assert network.eval()(images).shape == (1, 4)


def test_networks_of_several_heads_or_of_none_are_refused():
    with torch.device("meta"), pytest.raises(UserError, match="googlenet has 3 layers of its classes, not one"):
        head_of(models.create("googlenet"))
    with pytest.raises(UserError, match="lenet5_1998 has 0 layers"):
        head_of(models.create("lenet5_1998"))


@pytest.fixture(scope="module")
def small_digits(tmp_path_factory):
    """A run on the digits 0 to 4."""
    from conftest import _trained

    folder = tmp_path_factory.mktemp("old") / "old"
    return _trained(folder, "data.classes=[0,1,2,3,4]", "trainer.max_epochs=12", "trainer.threads=1")


def words(old, way: str) -> tuple[str, ...]:
    return (f"weights={old}", f"finetune={way}", "data.classes=[5,6,7,8,9]", "optimizer.lr=0.01", "trainer.threads=1")


@pytest.mark.slow
def test_while_the_head_alone_is_trained_the_old_answers_are_no_part_of_the_loss(repronet, tmp_path, small_digits):
    """What they come from does not move then, so they would add a constant: however much they weigh, it is the same."""
    short = ("finetune.head_epochs=1", "trainer.max_epochs=2", "data.per_class=40", "data.batch_size=20")
    losses = {}
    for weight in (1, 50):
        weighed = (f"finetune.old_weight={weight}", f"run_dir=w{weight}")
        outcome = repronet("train", *words(small_digits, "lwf"), *short, *weighed)
        assert (outcome.code, outcome.err) == (0, "")
        losses[weight] = [row["train_loss"] for row in read_history(tmp_path / f"w{weight}" / runs.HISTORY)]
    assert losses[1][0] == losses[50][0]
    assert losses[1][1] < losses[50][1] - 1  # then they are


@pytest.mark.slow
def test_less_is_forgotten_and_as_much_is_learned(repronet, tmp_path, small_digits):
    for way in ("lwf", "all"):
        outcome = repronet("train", *words(small_digits, way), "trainer.max_epochs=12", f"run_dir={way}")
        assert (outcome.code, outcome.err) == (0, "")
        assert "the old task" in outcome.out
    results = {way: runs.read_result(tmp_path / way) for way in ("lwf", "all")}
    before = {results[way]["old_task"]["error_before"] for way in results}
    assert before == {runs.read_result(small_digits)["test_error"]}  # measured as that run did itself
    lost = {way: results[way]["old_task"]["error_after"] - min(before) for way in results}
    assert lost["lwf"] <= lost["all"] / 2
    assert results["lwf"]["test_error"] <= results["all"]["test_error"] + 0.01
    assert repronet("eval", "run=lwf").code == 0
    config = read_checkpoint(tmp_path / "lwf" / runs.LAST)["repronet"]["config"]
    assert config["finetune"]["old_classes"] == 5


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_end(tmp_path, small_digits):
    trial = Trial(tmp_path, (*words(small_digits, "lwf"), "trainer.max_epochs=3", "trainer.save_minutes=1e-9"))
    for step in (20, 40, 70):
        assert trial.struck(Strike("step", step)) == (-signal.SIGKILL, None)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["model=googlenet"], "weights of model=lenet5, not of model=googlenet"),
        (["trainer.compile=true"], "does not work with finetune=lwf"),
        (["finetune.temperature=0"], "finetune.temperature=0.0: must be a number above 0"),
    ],
)
def test_what_cannot_be_kept_is_one_line(repronet, small_digits, more, message):
    outcome = repronet("train", *words(small_digits, "lwf"), *more)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
