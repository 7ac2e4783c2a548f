"""Ways of fine-tuning: what is frozen stays bit-equal, what is trained has its rate, a stopped run keeps the plan."""

from __future__ import annotations

import shutil
import signal

import pytest
import torch
from torch import nn

from interruptions import Strike, Trial, run
from repronet import models, runs, weights
from repronet.config.build import assemble
from repronet.config.compose import compose
from repronet.errors import UserError
from repronet.models.stages import class_layers, stages
from repronet.terminal import wrapped
from repronet.training.checkpoints import read_checkpoint
from repronet.training.finetune import PLANS, stage_plan

NETWORKS = ("lenet5", "alexnet", "vgg16_bn", "nin", "googlenet", "inception_v3", "resnet20", "resnet50", "densenet121")


@pytest.mark.parametrize("name", NETWORKS)
def test_stages_hold_every_parameter_once_in_order_and_the_head_last(name):
    with torch.device("meta"):
        network = models.create(name)
    found = stages(network)
    held = [id(parameter) for stage in found for parameter in stage.parameters()]
    assert sorted(held) == sorted(id(parameter) for parameter in network.parameters())
    assert found[-1].name == "head"
    assert 3 <= len(found) <= 12


def test_the_head_is_what_depends_on_the_classes():
    assert class_layers(models.create("resnet20")) == {"fc"}
    with torch.device("meta"):
        assert class_layers(models.create("googlenet")) == {"fc", "aux1.fc2", "aux2.fc2"}
        assert class_layers(models.create("nin", num_classes=5)) == {"block3.4"}
    assert class_layers(models.create("lenet5_1998")) == set()  # made for ten digits


def test_blocks_of_one_resolution_are_a_stage():
    with torch.device("meta"):
        names = [stage.name for stage in stages(models.create("googlenet"))]
    assert names == ["conv1", "conv2", "conv3", "inception3", "inception4", "inception5", "head"]


@pytest.mark.parametrize(
    ("way", "values", "begins", "shares"),
    [
        ("all", {}, (0, 0, 0, 0), (1, 1, 1, 1)),
        ("scratch", {}, (0, 0, 0, 0), (1, 1, 1, 1)),
        ("head", {}, (None, None, None, 0), (1, 1, 1, 1)),
        ("discriminative", {"factor": 0.5}, (0, 0, 0, 0), (0.125, 0.25, 0.5, 1)),
        ("gradual", {"epochs_each": 2, "factor": 0.5}, (6, 4, 2, 0), (0.125, 0.25, 0.5, 1)),
        ("head_then_all", {"head_epochs": 3, "factor": 1.0}, (3, 3, 3, 0), (1, 1, 1, 1)),
    ],
)
def test_the_plans(way, values, begins, shares):
    plan = PLANS[way](4, **values)
    assert (plan.begins, plan.shares) == (begins, shares)


def test_the_rates_of_the_groups_are_the_plans_and_follow_the_schedule():
    words = ["model=resnet20", "finetune=discriminative", "finetune.factor=0.5", "weights=x", "optimizer.lr=0.1"]
    config = compose("train", [*words, "schedule=constant", "optimizer.decay=weights"])
    task = assemble(config, begins=False).task
    assert task.stage_plan is not None
    rates = {stage.name: 0.1 * share for stage, share in task.stage_plan.groups()}
    assert rates == pytest.approx({"conv1": 0.00625, "layer1": 0.0125, "layer2": 0.025, "layer3": 0.05, "head": 0.1})


def test_frozen_means_frozen():
    network = models.create("resnet20").train()
    tuning = stage_plan(network, {"name": "gradual", "epochs_each": 1, "factor": 0.5})
    tuning.begin_epoch(1)
    tuning.hold()
    frozen = {
        name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d) and not module.training
    }
    trained = {
        name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d) and module.training
    }
    assert trained == {name for name in trained | frozen if name.startswith("layer3")}
    assert all(p.requires_grad == n.startswith(("layer3", "fc")) for n, p in network.named_parameters())
    tuning.begin_epoch(4)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    """A network of ten classes that has learned something."""
    torch.manual_seed(0)
    network = models.create("resnet20", in_channels=1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    path = tmp_path_factory.mktemp("backbone") / "backbone.safetensors"
    weights.save(network, path)
    return path


def tuned(backbone, way: str) -> tuple[str, ...]:
    return (
        f"weights={backbone}",
        f"finetune={way}",
        *("model=resnet20", "data.per_class=6", "data.val=50", "data.batch_size=12", "augmentation=none"),
        *("optimizer.lr=0.02", "trainer.threads=1", "trainer.save_minutes=1e-9", "layers=torch"),
    )


def test_a_linear_probe_leaves_everything_else_bit_equal(repronet, tmp_path, backbone):
    outcome = repronet(
        "train", *tuned(backbone, "head"), "trainer.max_epochs=2", "run_dir=r", "optimizer.weight_decay=0.1"
    )
    assert (outcome.code, outcome.err) == (0, "")
    before = models.create("resnet20", in_channels=1)
    weights.load(before, backbone)
    after = read_checkpoint(tmp_path / "r" / runs.LAST)["state_dict"]
    for name, value in before.state_dict().items():
        assert torch.equal(after[f"network.{name}"], value) == (not name.startswith("fc")), name
    assert "fresh: fc" in outcome.out
    assert "conv1           176 parameters  frozen" in outcome.out
    assert "from epoch 1, rate 0.02" in outcome.out
    assert repronet("eval", "run=r").code == 0


def test_a_stage_is_bit_equal_until_its_time_comes(repronet, tmp_path, backbone):
    words = (*tuned(backbone, "gradual"), "trainer.max_epochs=2")
    assert repronet("train", *words, "run_dir=r").code == 0
    before = models.create("resnet20", in_channels=1)
    weights.load(before, backbone)
    after = read_checkpoint(tmp_path / "r" / runs.LAST)["state_dict"]
    for name, value in before.state_dict().items():
        assert torch.equal(after[f"network.{name}"], value) == (not name.startswith(("fc", "layer3"))), name


@pytest.mark.slow
def test_a_run_that_is_stopped_amid_a_gradual_plan_goes_on_to_the_same_end(tmp_path, backbone):
    trial = Trial(tmp_path, (*tuned(backbone, "gradual"), "trainer.max_epochs=5"))
    for step in (3, 12, 19):  # five steps an epoch
        name = trial.fresh()
        assert run(tmp_path, *trial.words, f"run_dir={name}", strike=Strike("step", step)) == -signal.SIGKILL
        backbone.rename(backbone.with_suffix(".away"))  # a resumed run needs no more than its folder
        try:
            assert trial.finish(name) is None
        finally:
            backbone.with_suffix(".away").rename(backbone)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["finished_run", "peaked_run"])  # of standardised pixels, and of scaled ones
def test_a_tuned_run_sees_the_pixels_of_its_source_after_that_is_gone(repronet, tmp_path, source, request):
    shutil.copytree(request.getfixturevalue(source), tmp_path / "source")
    model = read_checkpoint(tmp_path / "source" / runs.BEST)["repronet"]["config"]["model"]["name"]
    words = (f"model={model}", "weights=source", "trainer.max_epochs=1", "data.per_class=20", "augmentation=none")
    outcome = repronet("train", *words, "optimizer.lr=1e-6", "run_dir=r")
    assert (outcome.code, outcome.err) == (0, "")
    theirs, ours = (read_checkpoint(tmp_path / run / runs.BEST)["ImageDataModule"] for run in ("source", "r"))
    for value in ("gain", "offset"):
        assert ours["lens"]["pixel_map"][value] == pytest.approx(theirs["lens"]["pixel_map"][value])
    before = repronet("eval", "run=r").out
    shutil.rmtree(tmp_path / "source")
    assert repronet("eval", "run=r").out == before


def test_a_tuned_run_ends_though_its_old_task_cannot_be_measured(repronet, tmp_path, finished_run, monkeypatch):
    def gone(*_):
        raise UserError("data.root=/gone: no such folder")

    monkeypatch.setattr("repronet.session.forgetting.dataset", gone)
    words = ("model=lenet5", f"weights={finished_run}", "finetune=head", "data.per_class=20", "trainer.max_epochs=1")
    outcome = repronet("train", *words, "run_dir=r")
    assert (outcome.code, outcome.err) == (0, "")
    assert "the error on the old task could not be measured: data.root=/gone: no such folder" in outcome.out
    assert runs.read_result(tmp_path / "r")["old_task"] is None


@pytest.mark.slow
def test_a_run_may_be_gone_on_with_from_another_folder(repronet, tmp_path, finished_run, monkeypatch):
    shutil.copytree(finished_run, tmp_path / "source")
    words = ("model=lenet5", "weights=source", "finetune=head", "data.per_class=20", "trainer.max_epochs=1")
    assert repronet("train", "-m", *words, "seed=0,1").code == 0
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    for folder in sweep.glob("*_seed=*"):
        (folder / runs.RESULT).unlink()
        shutil.rmtree(folder / "checkpoints")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    outcome = repronet("train", f"resume_sweep={sweep}")
    assert (outcome.code, outcome.err) == (0, "")
    assert "the old task" in outcome.out


def test_a_run_folder_is_a_source_with_its_pixels(repronet, tmp_path, finished_run):
    words = ("model=lenet5", f"weights={finished_run}", "finetune=head", "data.classes=[1,7]", "trainer.max_epochs=1")
    outcome = repronet("train", *words, "run_dir=r")
    assert (outcome.code, outcome.err) == (0, "")
    pixels = runs.read_result(finished_run)
    assert f"standardizing by their mean {pixels['pixel_mean'][0]:.3f}, std {pixels['pixel_std'][0]:.3f}" in outcome.out
    assert runs.read_result(tmp_path / "r")["test_error_by_class"].keys() == {"1", "7"}
    logged = (tmp_path / "r" / runs.LOG).read_text(encoding="utf-8").splitlines()
    shown = "\n".join(wrapped(line[len("2026-11-27 21:04:28  ") :]) for line in logged)  # a file needs no short lines
    assert shown == outcome.out.rstrip("\n")


def test_a_mean_of_each_pixel_is_a_mean_of_each_channel_for_other_images(repronet, tmp_path):
    """Weights of a run with per_pixel_mean want no division: its images are of another size, or of another set."""
    words = ("data.per_class=20", "trainer.max_epochs=1", "augmentation=none")
    assert repronet("train", *words, "preprocessing=per_pixel_mean", "run_dir=source").code == 0
    mean = read_checkpoint(tmp_path / "source" / runs.BEST)["ImageDataModule"]["lens"]["pixel_map"]["mean"]
    outcome = repronet("train", *words, "model=lenet5", "weights=source", "finetune=head", "run_dir=r")
    assert f"standardizing by their mean {mean.mean():.3f}, std 1.000" in outcome.out
    ours = read_checkpoint(tmp_path / "r" / runs.BEST)["ImageDataModule"]["lens"]["pixel_map"]
    assert ours["gain"] == (1.0,)
    assert ours["offset"] == pytest.approx([-float(mean.mean())])


def test_weights_of_the_zoo_say_which_pixels_they_want():
    from repronet import zoo
    from repronet.weights.pixels import pixels_of

    for name in zoo.names():
        assert pixels_of(name, "resnet20") is not None, name
    found = pixels_of("repronet/resnet20-cifar10", "resnet20")
    assert found.std == (1.0, 1.0, 1.0)
    assert found.mean == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.002)  # CIFAR-10's


def test_timm_is_a_source_with_its_pixels(repronet, monkeypatch):
    from repronet.weights import pixels

    theirs = models.create("resnet18", num_classes=1000)
    theirs.pretrained_cfg = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    asked = []
    monkeypatch.setattr("timm.create_model", lambda name, pretrained: (asked.append((name, pretrained)), theirs)[1])
    monkeypatch.setattr(pixels, "_answers", lambda url: True)
    pixels.of_timm.cache_clear()
    words = ["model=resnet18", "weights=timm/resnet18", "finetune=head", "layers=torch"]
    network = assemble(compose("train", words)).task.network
    pixels.of_timm.cache_clear()
    assert asked == [("resnet18", True)]
    assert torch.equal(network.layer1[0].conv1.weight, theirs.layer1[0].conv1.weight)
    assert network.fc.out_features == 10
    message = "weights=timm/resnet19: timm has no network of that name"
    assert message in repronet("train", "weights=timm/resnet19", "finetune=head").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["finetune=head"], "finetune=head: needs initial weights; set weights="),
        (["finetune=haed"], "finetune=haed: no such finetune; nearest: head"),
        (["weights=nowhere.pth"], "weights=nowhere.pth: no such file, run or name of published weights"),
        (["weights=imagenet1k_v1", "model=resnet18"], "weights=imagenet1k_v1: no such file, run"),
        (["weights=imagenet1k_v1", "model=resnet18"], "; nearest: IMAGENET1K_V1"),
        (["weights=IMAGENET1K_V3", "model=resnet18"], "weights=IMAGENET1K_V3: torchvision has none of that name"),
        (["weights=."], ": no run there; give the folder that holds config.yaml"),
        (["weights="], "weights=: must be a name or a path"),
        (["weights=IMAGENET1K_V1"], "torchvision has no weights for model=lenet5"),
        (["finetune=gradual", "weights=x", "finetune.epochs_each=0"], "finetune.epochs_each=0: must be"),
        (["finetune=discriminative", "weights=x", "finetune.factor=2"], "finetune.factor=2.0: must be"),
        (["data.classes=[cat,dog]"], "data.classes=['cat', 'dog']: no class cat (classes: 0, 1"),
        (["data.classes=[3]"], "two or more names of classes"),
        (["data.per_class=0"], "data.per_class=0: must be"),
    ],
)
def test_bad_words_are_one_line(repronet, words, message):
    outcome = repronet("train", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.slow
def test_compare_holds_the_ways_against_each_other(repronet, tmp_path, backbone):
    words = [word for word in tuned(backbone, "x") if not word.startswith("finetune=")]
    more = ("ways=scratch,head", "seeds=[0,1]", "trainer.max_epochs=1")
    outcome = repronet("finetune", "compare", *words, *more)
    assert (outcome.code, outcome.err) == (0, "")
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    results = [runs.read_result(folder.parent) for folder in sweep.glob("*/result.json")]
    errors = {way: [r["test_error"] for r in results if r["finetune"] == way] for way in ("scratch", "head")}
    rows = (sweep / "compare.csv").read_text().splitlines()
    assert rows[0].startswith("way,mean_error,std_error,seeds")
    for row in rows[1:]:
        way, mean, _, seeds, _, trained, _, _ = row.split(",")
        assert float(mean) == pytest.approx(sum(errors[way]) / 2)
        assert seeds == "2"
        assert int(trained) == {"scratch": 269_434, "head": 650}[way]
    table = outcome.out[outcome.out.index("error, mean and deviation of 2") :]
    assert "to scratch" in table
    assert max(map(len, table.splitlines())) <= 80
    assert (sweep / "compare.png").stat().st_size > 5000
    (sweep / "compare.png").unlink()
    (sweep / "compare.csv").unlink()
    outcome = repronet("train", f"resume_sweep={sweep}")  # one that was killed before its end
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith(table.replace(str(sweep.relative_to(tmp_path)), str(sweep)))
    assert (sweep / "compare.csv").read_text().splitlines() == rows


@pytest.mark.slow
def test_compare_holds_networks_against_each_other(repronet, tmp_path, backbone):
    words = [word for word in tuned(backbone, "x") if not word.startswith(("finetune=", "model=", "weights="))]
    more = ("models=resnet20,timm/test_resnet", "ways=scratch", "seeds=1", "trainer.max_epochs=1")
    outcome = repronet("finetune", "compare", *words, *more)
    assert (outcome.code, outcome.err) == (0, "")
    (sweep,) = (tmp_path / "runs" / "sweeps").iterdir()
    rows = (sweep / "compare.csv").read_text().splitlines()
    assert {row.partition(",")[0] for row in rows[1:]} == {"resnet20 scratch", "timm/test_resnet scratch"}
    assert "model=lenet5: beside models=" in repronet("finetune", "compare", *words, "model=lenet5", *more).err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "ways=scratch,heads"], "ways=['scratch', 'heads']: must be a list, such as [scratch,head]"),
        (["compare", "seeds=0,0"], "seeds=[0, 0]: must be a number of seeds, such as 3, or a list of whole numbers"),
        (["compare", "ways=[heads]"], "ways=['heads']: must be a list, such as [scratch,head]"),
        (["compare", "seeds=[]"], "seeds=[]: must be a number of seeds"),
        (["compare", "seeds=[1,1]"], "seeds=[1, 1]: must be"),
        (["compare", "ways=[head]"], "finetune=head: needs initial weights"),
        (["compare"], "finetune=head: needs initial weights"),  # scratch, the first of the ways, needs none
        (["compare", "weights=nowhere.pth"], "weights=nowhere.pth: no such file"),
        (["compare", "weights=X", "finetune=head"], "finetune=head: the values to compare are set in ways=[head,…]"),
        (["compare", "weights=X", "seed=3"], "seed=3: the values to compare are set in seeds=[3,…]"),
        (["compare", "trainer.max_epochs=1,2"], "trainer.max_epochs=1,2: several values make several runs; repronet"),
        (["compere"], "finetune compere: needs a second word; nearest: finetune compare, one of: finetune compare"),
        (["compare", "optimizer.lrr=1"], "optimizer.lrr=1: no such key; nearest: optimizer.lr"),
    ],
)
def test_bad_comparisons_are_one_line_and_leave_nothing(repronet, tmp_path, words, message):
    outcome = repronet("finetune", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.startswith("repronet: ")
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
