"""What is composed: networks without files, files of the user's own, defaults that stand in the schemas."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from repronet.config.compose import compose, expand
from repronet.config.fields import MISSING, default_of, keys_of
from repronet.config.groups import CONFIGS, GROUPS, choices, looking_in
from repronet.config.schema import COMMANDS, SCHEMAS, schemas_in
from repronet.config.schema_sweep import BESIDE
from repronet.errors import UserError, nearest
from repronet.models import MODELS


def test_every_network_is_a_choice_without_a_file():
    assert not (CONFIGS / "model").is_dir()
    assert set(choices("model")) == set(MODELS) == set(SCHEMAS["model"])
    assert choices("model")["lenet5"].startswith("1998, 61.7 k parameters: ")
    assert compose("train", ["model=vgg16"]).model == {"name": "vgg16", "loss": "cross_entropy"}
    assert compose("train", ["model=lenet5_1998"]).model.loss == "rbf_map"


@pytest.mark.parametrize(
    ("words", "network", "augmentation"),
    [
        ([], "lenet5", "affine"),
        (["data=cifar10"], "resnet20", "cifar_standard"),
        (["data=cifar10", "model=lenet5"], "lenet5", "cifar_standard"),
        (["augmentation=none", "data=cifar10"], "resnet20", "none"),
        (["data=image_folder", "data.root=x"], "resnet20", "policy"),
        (["data=fashion_mnist"], "lenet5", "cifar_standard"),
        (["data=cifar10", "experiment=lenet5_1998_mnist5k"], "lenet5_1998", "none"),  # an experiment says it all
    ],
)
def test_a_dataset_brings_what_suits_it(words, network, augmentation):
    config = compose("train", words)
    assert (config.model.name, config.augmentation.name) == (network, augmentation)


def test_a_dataset_brings_its_augmentation_to_other_commands():
    assert compose("augment", ["data=cifar10"]).augmentation.name == "cifar_standard"
    assert "model" not in compose("augment", ["data=cifar10"])
    assert "augmentation" not in compose("data_check", ["data.root=x"])


def test_networks_are_swept():
    assert [word for (word,) in expand(["model=glob(lenet*)"])] == ["model=lenet5", "model=lenet5_1998"]


def test_a_file_of_ones_own_chooses_a_network(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/hinge.yaml").write_text("# LeNet-5 with a hinge loss\nname: lenet5\nloss: svm\n")
    with looking_in(tmp_path):
        assert choices("model")["hinge"] == "LeNet-5 with a hinge loss"
    assert compose("train", ["model=hinge"], tmp_path).model == {"name": "lenet5", "loss": "svm"}


@pytest.mark.parametrize(
    "body", ["model: 5", "model: {name: [1]}", "callbacks: 3", "augmentation: {steps: 3}", "data: null"]
)
def test_a_file_with_nonsense_is_one_line(tmp_path, body):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/odd.yaml").write_text(f"# @package _global_\n# Odd\n{body}\n")
    with pytest.raises(UserError):
        compose("train", ["experiment=odd"], tmp_path)


def test_a_default_can_be_set_and_referred_to():
    config = compose("train", ["trainer.limit_val_batches=${trainer.limit_train_batches}", "schedule.warmup_epochs=2"])
    assert (config.trainer.limit_val_batches, config.schedule.warmup_epochs) == (1.0, 2.0)


def test_the_same_word_twice_means_the_last():
    assert compose("train", ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "list"])
def test_every_command_has_a_config(name):
    needed = {"eval": ["run=x"], "predict": ["run=x", "images=y"], "visualize": ["run=x", "what=all"]}
    words = {**needed, "export": ["run=x", "to=onnx"], "reproduce_publish": ["to=x"]}.get(name, [])
    config = OmegaConf.to_container(compose(name, words))
    assert set(config) >= set(COMMANDS[name].keys.__dataclass_fields__)
    chosen = {group for group, choice in COMMANDS[name].groups.items() if choice is not None}
    assert chosen - set(BESIDE) <= set(config)


def test_no_default_breaks_its_rule():
    schemas = [command.keys for command in COMMANDS.values()]
    for schema in [*schemas, *(schema for group in GROUPS for _, schema in schemas_in(group))]:
        for item in keys_of(schema):
            rule, value = item.metadata["rule"], default_of(item)
            assert rule is None or value in (None, MISSING) or rule.check(value), f"{schema.__name__}.{item.name}"


@pytest.mark.parametrize(
    ("word", "names", "hint"),
    [
        ("lr", ["optimizer.lr", "seed"], "; nearest: optimizer.lr"),
        ("sede", ["optimizer.lr", "seed"], "; nearest: seed"),
        ("resnet21", ["resnet18", "resnet20", "resnet110"], "; nearest: resnet20"),
        ("vgg15", ["vgg11", "vgg13", "vgg16", "vgg19"], "; nearest: vgg16"),
        ("nosuch", ["bench", "train", "eval"], ""),
        ("trainer.devices2", ["trainer.devices", "trainer.patience"], "; nearest: trainer.devices"),
        ("trainer.devices2", ["trainer.patience", "trainer"], ""),
        ("optimizer.betas", ["optimizer.decay", "optimizer.nesterov"], ""),
        ("optimizr.momentun", ["optimizer.momentum", "optimizer.lr"], "; nearest: optimizer.momentum"),
        ("foo", ["data.root", "trainer.min_epochs"], ""),
        ("anything", [], ""),
    ],
)
def test_nearest(word, names, hint):
    assert nearest(word, names) == hint
