"""Loading: all of a source into its network, or one line and nothing changed."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch
from tiny_networks import Tiny, drawn, install, same

from repronet import models, weights
from repronet.errors import UserError


@pytest.fixture(autouse=True)
def zoo(monkeypatch):
    install(monkeypatch)


def refusal(network, source, **settings) -> str:
    """The one line that is said; the network must be as it was."""
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with pytest.raises(UserError) as caught:
        weights.load(network, source, **settings)
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["tiny", "lenet5", "lenet5_1998"])
@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_what_is_saved_is_loaded(name, ending, tmp_path):
    network, other = drawn(name, seed=0), drawn(name, seed=1)
    assert not same(network, other)
    weights.save(network, tmp_path / f"w{ending}")
    loaded = weights.load(other, tmp_path / f"w{ending}")
    assert same(network, other)
    assert loaded == weights.Loaded(str(tmp_path / f"w{ending}"), name if ending == ".safetensors" else None)


def test_the_numbers_are_copied_not_shared():
    network, other = drawn("tiny", seed=0), drawn("tiny", seed=1)
    weights.load(other, network.state_dict())
    kept = other.conv1.weight.detach().clone()
    with torch.no_grad():
        network.conv1.weight.zero_()
    assert torch.equal(other.conv1.weight, kept)


def test_dtype_and_training_flags_of_the_network_stay():
    network = drawn("tiny").double()
    network.conv1.weight.requires_grad_(False)
    weights.load(network, drawn("tiny", seed=1).half().state_dict())
    assert network.fc.weight.dtype == torch.float64
    assert not network.conv1.weight.requires_grad


@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_a_network_without_memory_is_given_some(ending, tmp_path):
    network = drawn("tiny")
    weights.save(network, tmp_path / f"w{ending}")
    with torch.device("meta"):
        empty = models.create("tiny")
    empty.conv1.weight.requires_grad_(False)
    weights.load(empty, tmp_path / f"w{ending}")
    assert same(network, empty)
    assert [key for key, p in empty.named_parameters() if not p.requires_grad] == ["conv1.weight"]


def test_a_network_without_memory_whose_constants_no_file_holds_is_refused():
    with torch.device("meta"):
        empty = models.create("lenet5_1998")
    with pytest.raises(UserError, match=r"nothing in it fills .*target, and the network is on the meta device"):
        weights.load(empty, drawn("lenet5_1998").state_dict())
    with torch.device("meta"):
        empty = models.create("tiny", num_classes=3)
    with pytest.raises(UserError, match=r"nothing in it fills aux\.weight"):
        weights.load(empty, drawn("tiny").state_dict(), adapt_head=True)


def test_counters_that_an_old_file_lacks_stay():
    network, old = drawn("tiny", seed=0), drawn("tiny", seed=1).state_dict()
    del old["bn1.num_batches_tracked"]
    weights.load(network, old)
    assert network.bn1.num_batches_tracked == 1
    with torch.device("meta"):
        empty = models.create("tiny")
    weights.load(empty, old)
    assert empty.bn1.num_batches_tracked == 0
    assert torch.equal(empty.bn1.running_mean, old["bn1.running_mean"])


def test_a_run_s_checkpoint_fills_the_network_of_its_config(finished_run):
    best = finished_run / "checkpoints" / "best.ckpt"
    network = models.create("lenet5", in_channels=1)
    assert weights.load(network, best) == weights.Loaded(str(best), "lenet5")
    saved = torch.load(best, weights_only=True)["state_dict"]
    assert torch.equal(network.c1.weight, saved["network.c1.weight"])
    message = refusal(models.create("lenet5_1998"), best)
    assert message == f"{best}: holds weights of model=lenet5, not of model=lenet5_1998"


def test_a_partial_match_lists_its_keys():
    partial = drawn("tiny", seed=1).state_dict()
    del partial["bn1.running_mean"], partial["bn1.weight"]
    partial["extra.weight"] = torch.zeros(1)
    partial["conv2.weight"] = torch.zeros(8, 4, 5, 5)
    assert refusal(drawn("tiny"), partial) == (
        "the given state dict: does not fit: 2 missing: bn1.weight, bn1.running_mean; 1 unexpected: extra.weight; "
        "1 mis-shaped: conv2.weight (8, 4, 5, 5) for (8, 4, 3, 3)"
    )


def test_long_lists_are_shortened_and_strange_names_shown_in_one_line():
    partial = {f"a{i}\n" + "x" * 200: torch.zeros(1) for i in range(9)}
    message = refusal(drawn("tiny"), partial)
    assert "11 missing: conv1.weight, bn1.weight, bn1.bias and 8 more; 9 unexpected: 'a0\\n" in message
    assert len(message) < 500


def test_numbers_of_another_kind_are_mis_shaped():
    counted = drawn("tiny").state_dict()
    counted["fc.bias"] = torch.zeros(10, dtype=torch.long)
    assert "1 mis-shaped: fc.bias (10,) for (10,), whole numbers for floating ones" in refusal(drawn("tiny"), counted)
    counted["fc.bias"] = torch.zeros(10, dtype=torch.complex64)
    assert "complex numbers for floating ones" in refusal(drawn("tiny"), counted)


def test_the_network_that_would_have_been_right_is_named():
    wide = drawn("tiny_wide", num_classes=4).state_dict()
    assert refusal(drawn("tiny"), wide).endswith("; its keys and shapes are those of model=tiny_wide")
    assert refusal(drawn("lenet5"), drawn("tiny").state_dict()).endswith("those of model=tiny or tiny_v1_5")


def test_a_file_that_says_what_it_is_is_refused_by_another_network_of_its_shapes(tmp_path):
    file = tmp_path / "w.safetensors"
    weights.save(drawn("tiny_v1_5"), file)
    assert refusal(drawn("tiny"), file) == f"{file}: holds weights of model=tiny_v1_5, not of model=tiny"
    weights.load(drawn("tiny_v1_5", layers="torch"), file)


@pytest.mark.parametrize("said", ["tiny_1999", "x" * 500, "a\nb"])
def test_a_file_that_names_an_unknown_network_is_refused(said, tmp_path):
    file = tmp_path / "w.safetensors"
    safetensors.torch.save_file(drawn("tiny").state_dict(), file, metadata={"network": said})
    message = refusal(drawn("tiny"), file)
    assert message.endswith(", not of model=tiny")
    assert len(message) < len(str(file)) + 150


def test_a_network_that_was_altered_since_is_judged_by_its_keys_alone(tmp_path):
    file = tmp_path / "w.safetensors"
    weights.save(drawn("tiny_v1_5"), file)
    altered = drawn("tiny_v1_5", seed=1)
    altered.pool = torch.nn.AdaptiveMaxPool2d(1)
    weights.load(altered, file)
    assert torch.equal(altered.fc.weight, drawn("tiny_v1_5").fc.weight)


def test_a_network_of_others_takes_a_file_of_ours(tmp_path, monkeypatch):
    file = tmp_path / "w.safetensors"
    weights.save(drawn("tiny_v1_5"), file)
    monkeypatch.setattr(Tiny, "__module__", "somebody.elses")
    weights.load(Tiny(10, 3, torch.nn, 2, 8), file)


def test_another_class_count_is_refused_and_the_way_named():
    message = refusal(drawn("tiny", num_classes=3), drawn("tiny").state_dict())
    assert message == (
        "the given state dict: does not fit: 4 mis-shaped: aux.weight (10, 4) for (3, 4), aux.bias (10,) for (3,), "
        "fc.weight (10, 8) for (3, 8) and 1 more; adapt_head=True would load the rest"
    )


def test_other_classes_leave_every_head_as_it_was_drawn():
    source, network = drawn("tiny", seed=1), drawn("tiny", num_classes=3)
    heads = {key: tensor.clone() for key, tensor in network.state_dict().items() if key.startswith(("aux", "fc"))}
    loaded = weights.load(network, source.state_dict(), adapt_head=True)
    assert loaded.fresh == ("aux.weight", "aux.bias", "fc.weight", "fc.bias")
    for key, tensor in network.state_dict().items():
        assert torch.equal(tensor, heads[key] if key in heads else source.state_dict()[key]), key


def test_the_same_classes_are_loaded_though_adaptation_is_allowed():
    source, network = drawn("tiny", seed=1), drawn("tiny")
    assert weights.load(network, source.state_dict(), adapt_head=True, adapt_input=True).fresh == ()
    assert same(source, network)


def test_nothing_but_heads_and_the_stem_may_differ():
    both = {"adapt_head": True, "adapt_input": True}
    assert "mis-shaped: conv2.weight (16, 4, 3, 3)" in refusal(drawn("tiny"), drawn("tiny_wide").state_dict(), **both)
    odd = drawn("tiny", num_classes=5).state_dict()
    odd["aux.weight"], odd["aux.bias"] = torch.zeros(7, 4), torch.zeros(7)  # heads of two minds
    assert "4 mis-shaped" in refusal(drawn("tiny"), odd, **both)
    odd = drawn("tiny").state_dict()
    odd["fc.weight"] = torch.zeros(10, 9)  # other features, not other classes
    assert "1 mis-shaped: fc.weight" in refusal(drawn("tiny"), odd, **both)
    odd = drawn("tiny").state_dict()
    odd["fc.bias"] = torch.zeros(7)  # a bias that its weight does not go with
    assert "1 mis-shaped: fc.bias" in refusal(drawn("tiny"), odd, **both)
    odd = drawn("tiny").state_dict()
    odd["conv1.weight"] = torch.zeros(4, 1, 5, 5)  # another kernel besides
    assert "1 mis-shaped: conv1.weight" in refusal(drawn("tiny"), odd, **both)
    del odd["fc.weight"]
    odd["conv1.weight"] = torch.zeros(4, 1, 3, 3)  # a head must be there to be replaced
    assert "1 missing: fc.weight" in refusal(drawn("tiny"), odd, **both)


def test_grey_images_take_the_sum_over_the_colours():
    source, network = drawn("tiny", seed=1), drawn("tiny", in_channels=1)
    assert refusal(network, source.state_dict()).endswith("; adapt_input=True would load the rest")
    loaded = weights.load(network, source.state_dict(), adapt_input=True)
    assert (loaded.reshaped, loaded.fresh) == ("conv1.weight", ())
    grey = torch.rand(2, 1, 8, 8)
    assert torch.allclose(network.eval()(grey), source.eval()(grey.expand(-1, 3, -1, -1)), atol=1e-6)


@pytest.mark.parametrize(
    ("given", "wanted", "planes"),
    [
        (3, 4, [(0, 3 / 4), (1, 3 / 4), (2, 3 / 4), (0, 3 / 4)]),
        (3, 2, [(0, 3 / 2), (1, 3 / 2)]),
        (1, 3, [(0, 1 / 3), (0, 1 / 3), (0, 1 / 3)]),
    ],
)
def test_several_channels_repeat_the_planes_at_the_same_strength(given, wanted, planes):
    source = drawn("tiny", seed=1, in_channels=given)
    network = drawn("tiny", in_channels=wanted)
    weights.load(network, source.state_dict(), adapt_input=True)
    for channel, (plane, factor) in enumerate(planes):
        assert torch.allclose(network.conv1.weight[:, channel], source.conv1.weight[:, plane] * factor)


def test_head_and_input_together_from_a_named_file(tmp_path):
    source, network = drawn("tiny", seed=1), drawn("tiny", num_classes=2, in_channels=1)
    weights.save(source, tmp_path / "w.safetensors")
    message = refusal(network, tmp_path / "w.safetensors")
    assert message.endswith("; adapt_head=True and adapt_input=True would load the rest")
    weights.load(network, tmp_path / "w.safetensors", adapt_head=True, adapt_input=True)
    assert torch.equal(network.conv2.weight, source.conv2.weight)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "the given state dict: holds no tensor"),
        ({"fc.weight": 1.0}, "the given state dict: no state dict: fc.weight is a float, not a tensor"),
        ({1: torch.zeros(1)}, "the given state dict: no state dict: 1 is a Tensor"),
        ({"fc.weight": torch.zeros(2, 2).to_sparse()}, "fc.weight is not dense"),
        (torch.nn.ReLU(), "weights: a ReLU is not a source; give a path, a name or a state dict"),
    ],
)
def test_what_is_no_state_dict_is_said(source, message):
    assert message in refusal(drawn("tiny"), source)


def test_a_file_with_damaged_numbers_is_refused(tmp_path):
    """torch reads such a file without a word."""
    file = tmp_path / "w.pth"
    torch.save(drawn("tiny_wide").state_dict(), file)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(byte ^ 0xFF for byte in content[middle : middle + 40])
    file.write_bytes(content)
    assert "damaged" in refusal(drawn("tiny_wide"), file)


def test_numbers_that_are_not_finite_are_refused():
    tensors = drawn("tiny").state_dict()
    tensors["fc.weight"][0, 0] = float("nan")
    assert "fc.weight holds numbers that are not finite" in refusal(drawn("tiny"), tensors)
