"""Parts of the user's own: registered, chosen, checked, recorded, and asked for again."""

from __future__ import annotations

import json
import shlex
import sys
from importlib import import_module
from importlib.metadata import EntryPoint

import pytest
import yaml
from omegaconf import OmegaConf

from repronet import load, models, weights
from repronet.config import plugins, preflight, register
from repronet.config.compose import checked, compose
from repronet.data.eval_transform import EvalTransform
from repronet.data.preprocessing import PixelMap
from repronet.errors import UserError
from repronet.training import optimizers

MINE = '''
"""Parts of my own."""
from dataclasses import dataclass

import torch
from torch import nn

from repronet.config import register
from repronet.config.fields import optional
from repronet.constraints import Constraint
from repronet.data.splits import ImageDataset, Split

@register.model("mine", input_size=12)
class Mine(nn.Module):
    """A small network of my own"""

    def __init__(self, num_classes: int, in_channels: int, depth: int = 2, wide: bool = False):
        super().__init__()
        self.depth = depth
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(in_channels * 144, 16), nn.ReLU())
        self.head = nn.Linear(16, num_classes)

    def forward(self, x):
        return self.head(self.body(x))

@register.dataset("dots")
def dots(val: float, count: int = 60) -> ImageDataset:
    """Grey squares of two brightnesses"""
    labels = torch.arange(count) % 2
    images = (labels.view(-1, 1, 1, 1) * 200).to(torch.uint8).expand(-1, 1, 12, 12).contiguous()
    split = Split(images, labels)
    return ImageDataset("dots", split, split, split, classes=("dark", "light"))

@dataclass
class LionKeys:
    beta: float = optional(Constraint(lambda x: 0 < x < 1, "a number above 0 and below 1", "X"), "momentum", 0.9)

@register.optimizer("lion", keys=LionKeys)
class Lion(torch.optim.SGD):
    """Not really Lion"""
    def __init__(self, params, lr, weight_decay, beta):
        super().__init__(params, lr=lr, weight_decay=weight_decay, momentum=beta)

@register.loss("focal")
def focal(logits, labels):
    """Cross-entropy by another name"""
    return torch.nn.functional.cross_entropy(logits, labels)

@register.augmentation_step("speckle", p=0.5)
def speckle(image, share=0.1):
    """Nothing much"""
    return image

@register.callback("quiet")
class Quiet:
    """Does nothing"""
'''


@pytest.fixture(autouse=True)
def _as_they_were(tables_as_they_were):
    """What a test registers is gone after it."""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "my_parts.py"
    path.write_text(MINE)
    plugins.give([str(path)])
    return path


CHOSEN = ["model=mine", "data=dots", "optimizer=lion", "model.loss=focal", "callbacks=[quiet]"]


def test_what_is_registered_is_chosen_like_everything_else(mine):
    config = compose("train", [*CHOSEN, "model.depth=3", "optimizer.beta=0.5"])
    assert config.model == {"name": "mine", "loss": "focal", "depth": 3, "wide": False}
    assert (config.data.name, config.data["count"], config.data.batch_size) == ("dots", 60, 64)
    assert (config.optimizer.name, config.optimizer.beta, config.optimizer.decay) == ("lion", 0.5, "all")
    assert config.callbacks == ["quiet"]
    assert config.plugins == ["my_parts.py"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=mine", "model.depth=deep"], "model.depth=deep: must be a whole number"),
        (["model=mine", "model.wide=perhaps"], "model.wide=perhaps: must be true or false"),
        (["model=mine", "model.depht=3"], "model.depht=3: no such key; nearest: model.depth (with model=mine)"),
        (["model=mines"], "model=mines: no such model; nearest: mine"),
        (["data=dot"], "data=dot: no such data; nearest: dots"),
        (["optimizer=lion", "optimizer.beta=1"], "optimizer.beta=1.0: must be a number above 0 and below 1"),
        (["model.loss=fokal"], "model.loss=fokal: must be one of cross_entropy, svm, mse, binary, rbf_map, focal"),
        (["callbacks=[quite]"], "callbacks=quite: no such callback; nearest: quiet (choices: quiet)"),
        (["augmentation=lecture", "augmentation.steps=[{op: speckel}]"], "no such step; nearest: speckle"),
        (["plugins=[os]"], "plugins=[os]: a plugin is given as an option, --plugin my_module"),
    ],
)
def test_its_keys_are_checked(mine, words, message):
    with pytest.raises(UserError) as raised:
        compose("train", words)
    assert message in str(raised.value)


def test_a_callback_that_nothing_has_registered():
    with pytest.raises(UserError, match="callbacks=quiet: no such callback; callbacks are registered by plugins"):
        compose("train", ["callbacks=[quiet]"])


def test_an_experiment_of_a_config_dir_chooses_it(mine, tmp_path):
    (tmp_path / "own/experiment").mkdir(parents=True)
    head = "# @package _global_\n# Mine\ndefaults:\n  - override /model: mine\n  - override /data: dots\n"
    (tmp_path / "own/experiment/try.yaml").write_text(head + "model: {depth: 5}\n")
    config = compose("train", ["experiment=try"], tmp_path / "own")
    assert (config.model.name, config.model.depth, config.data.name) == ("mine", 5, "dots")


def test_the_network_and_the_data_are_built(mine):
    from repronet.config.build_data import dataset
    from repronet.training.classifier import built

    config = compose("train", [*CHOSEN, "model.depth=7", "data.count=40"])
    network = built(config, 2, 1, "custom")
    assert (network.depth, network.input_size, network.architecture) == (7, 12, "mine")
    assert network.head.out_features == 2
    assert len(dataset(config, 12).train) == 40
    optimizer = optimizers.OPTIMIZERS["lion"](lr=0.1, weight_decay=0.0, beta=0.5)(network.parameters())
    assert optimizer.defaults["momentum"] == 0.5


def test_it_gets_our_layers(mine):
    assert type(models.create("mine").body[1]).__module__.startswith("repronet.")
    assert type(models.create("mine", layers="torch").body[1]).__module__.startswith("torch.")


def test_a_run_with_parts_of_ones_own(repronet, tmp_path, mine):
    words = [*CHOSEN[:4], "augmentation=none", "data.batch_size=10", "trainer.max_epochs=2"]
    outcome = repronet("train", *words, "run_dir=r", "--plugin", str(mine))
    assert outcome.code == 0, outcome.err
    assert yaml.safe_load((tmp_path / "r/config.yaml").read_text())["plugins"] == ["my_parts.py"]
    assert repronet("eval", "run=r", "--plugin", str(mine)).code == 0
    plugins.PARTS.clear()
    plugins._LOADED.clear()
    assert (
        repronet("eval", "run=r").err == "repronet: run r was trained with --plugin my_parts.py; give it again "
        "(in Python: import my_parts first)\n"
    )


def test_the_lines_that_say_how_to_go_on_run_as_they_stand(repronet, tmp_path, mine, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    words = [*CHOSEN[:4], "augmentation=none", "data.batch_size=10", "trainer.max_epochs=1"]
    with monkeypatch.context() as patch:
        patch.setattr("repronet.training.module.ImageClassifier.test_step", interrupt)
        stopped = repronet("train", *words, "run_dir=r", "--plugin", str(mine))
    assert stopped.err == f"repronet: interrupted; resume with: repronet train resume=r --plugin {mine}\n"
    gone_on = repronet(*shlex.split(stopped.err.partition("resume with: repronet ")[2]))
    assert gone_on.code == 0, gone_on.err
    again = (tmp_path / "r/train.log").read_text().rpartition("repronet eval ")[2].splitlines()[0]
    assert again == f"run=r --plugin {mine}"
    tested = repronet("eval", *shlex.split(again))
    assert tested.code == 0, tested.err


def test_a_network_without_a_size_is_refused(mine):
    register.model("flat")(models.MODELS["mine"].build)  # type: ignore[union-attr]
    with pytest.raises(UserError, match=r"model=flat: has no input_size; give one, @register\.model"):
        models.create("flat")


def test_a_list_has_it(repronet, mine):
    page = repronet("list", "--plugin", str(mine)).out
    assert "A small network of my own (my_parts.py)" in " ".join(page.split())
    assert "callback (of plugins)" in page
    assert "dots" in repronet("list", "data", "--plugin", str(mine)).out
    assert "model.depth=2" in repronet("list", "model", "--plugin", str(mine)).out


@pytest.mark.parametrize("command", ["summary", "gradcheck"])
def test_other_commands_take_it_too(repronet, mine, command):
    outcome = repronet(command, "model=mine", "--plugin", str(mine))
    assert outcome.code == 0, outcome.err
    assert "mine" in outcome.out or "head" in outcome.out


def test_verify_has_nothing_to_hold_it_against(repronet, mine):
    outcome = repronet("verify", "model=mine", "--plugin", str(mine))
    assert outcome.code == 2
    assert "model=mine: no paper to compare" in outcome.err


def test_a_module_is_a_plugin_too(repronet, tmp_path, monkeypatch):
    (tmp_path / "my_module.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    outcome = repronet("train", "model=mine", "--plugin", "my_module", "--cfg", "job")
    assert yaml.safe_load(outcome.out)["plugins"] == ["my_module"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module", "--plugin no_such_module: no such module; give a module's name or the path of a .py file"),
        ("nowhere.py", "--plugin nowhere.py: no such file"),
        ("broken.py", "--plugin broken.py: ZeroDivisionError: division by zero (debug=true shows where)"),
        ("wanting.py", "--plugin wanting.py: No module named 'not_installed'"),
        ("taken.py", "register.model: lenet5 is a name of repronet's; choose another one"),
        ("bare.py", "register: net(size): needs a default to become a key"),
    ],
)
def test_a_plugin_that_cannot_be_had_is_one_line(repronet, tmp_path, name, message):
    register_line = "from repronet.config import register\n@register.model({!r})\ndef net({}): ...\n"
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "wanting.py").write_text("import not_installed\n")
    (tmp_path / "taken.py").write_text(register_line.format("lenet5", "num_classes"))
    (tmp_path / "bare.py").write_text(register_line.format("other", "size"))
    outcome = repronet("train", "--plugin", name)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_recorded_config_asks_for_its_plugin_and_imports_nothing(mine):
    config = compose("train", ["model=mine"])
    assert checked("train", config) == config
    config.plugins = ["antigravity"]
    with pytest.raises(UserError, match="this config needs --plugin antigravity; give it again"):
        checked("train", config)


def test_the_root_of_a_plugins_data_may_be_anything(mine, tmp_path):
    preflight.look(compose("train", ["data=dots", f"data.root={mine}"]))
    preflight.look(compose("train", ["data=dots", f"data.root={tmp_path / 'not_there.h5'}"]))


@pytest.mark.parametrize("words", [["eval", "run=r"], ["predict", "run=r", "images=x"], ["train", "resume=r"]])
def test_a_run_asks_for_its_plugin(repronet, tmp_path, words):
    (tmp_path / "r").mkdir()
    (tmp_path / "r/config.yaml").write_text("plugins: [my_module]\n")
    (tmp_path / "x").mkdir()
    (tmp_path / "x/image.png").touch()
    outcome = repronet(*words)
    assert outcome.code == 2
    assert (
        outcome.err == "repronet: run r was trained with --plugin my_module; give it again "
        "(in Python: import my_module first)\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["model=mine"],
        ["model.loss=focal"],
        ["callbacks=[quiet]"],
        ["augmentation=lecture", "augmentation.steps=[{op: speckle}]"],
        ["experiment=theirs"],
    ],
)
def test_the_plugin_of_an_installed_package_is_loaded_where_a_name_is_not_known(tmp_path, monkeypatch, words):
    (tmp_path / "experiment").mkdir()
    head = "# @package _global_\n# Theirs\ndefaults:\n  - override /data: dots\n"
    (tmp_path / "experiment/theirs.yaml").write_text(head)
    monkeypatch.delitem(sys.modules, "their_package", raising=False)
    (tmp_path / "their_package.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("theirs", "their_package", plugins.ENTRY_POINTS)
    asked = []

    def found(group):
        asked.append(group)
        return [point] if group == plugins.ENTRY_POINTS else []

    monkeypatch.setattr("importlib.metadata.entry_points", found)
    compose("train", ["model=lenet5", "augmentation=lecture"])
    assert asked == []
    config = compose("train", words, tmp_path)
    assert config.plugins == ["their_package"]


def test_a_file_is_the_same_plugin_imported_or_given(mine, tmp_path, monkeypatch):
    recorded = compose("train", ["model=mine"])
    plugins._LOADED.clear()
    monkeypatch.syspath_prepend(tmp_path)
    import_module("my_parts")
    del sys.modules["my_parts"]
    assert {part.plugin for part in plugins.PARTS.values()} - {*plugins.OURS} == {"my_parts"}
    assert checked("train", recorded) == recorded
    plugins.load(str(mine))  # the same names once more


def test_a_run_that_is_loaded_in_python_asks_for_it(tmp_path):
    (tmp_path / "config.yaml").write_text("plugins: [my_module]\n")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/best.ckpt").touch()
    for source in (tmp_path, tmp_path / "checkpoints/best.ckpt"):
        with pytest.raises(UserError, match=r"was trained with --plugin my_module; give it again"):
            load(source)


def test_a_second_plugin_cannot_take_a_name(mine, tmp_path):
    (tmp_path / "other.py").write_text(MINE)
    with pytest.raises(UserError, match=r"register\.model: mine is registered by my_parts\.py; choose another name"):
        plugins.give([str(tmp_path / "other.py")])


def test_configs_hold_plain_names(mine):
    config = OmegaConf.to_container(compose("train", CHOSEN))
    assert json.loads(json.dumps(config)) == config


def test_a_file_of_its_weights_names_the_plugin_that_is_missing(mine, tmp_path):
    network = models.create("mine", num_classes=2, in_channels=1, options={"depth": 3})
    transform = EvalTransform(("dark", "light"), 1, 12, 12, False, PixelMap((1.0,), (0.0,)))
    weights.save(network, tmp_path / "w.safetensors", transform.to_json())
    assert load(tmp_path / "w.safetensors").network.depth == 3
    del models.MODELS["mine"]
    with pytest.raises(UserError, match=r"its network mine is one of the plugin my_parts\.py; import that first"):
        load(tmp_path / "w.safetensors")


def test_networks_of_the_package_have_no_options():
    with pytest.raises(UserError, match="model=lenet5: depth: only a network from outside the package has options"):
        models.create("lenet5", options={"depth": 3})
