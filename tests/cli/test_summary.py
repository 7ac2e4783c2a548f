"""``repronet summary``: the table, its exact forms, and mistakes."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
import torch
import torchvision

from repronet.analysis.complexity import summarize
from repronet.analysis.layer_record import Row
from repronet.cli.commands.summary import short, table


def test_the_table_of_lenet(repronet):
    outcome = repronet("summary", "model=lenet5", "input=3,32,32")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "lenet5, input 3×32×32, batch 1"
    cells = {line.split()[0]: line.split()[1:] for line in lines[2:14]}
    assert cells["layer"] == ["output", "field", "step", "pad", "params", "neurons", "conn.", "MACs", "bytes"]
    assert cells["c1"] == ["Conv2d", "6×28×28", "5", "1", "0", "456", "4.70k", "358k", "353k", "18.8k"]
    assert cells["s4"] == ["MaxPool2d", "16×5×5", "16", "4", "0", "0", "400", "0", "0", "1.60k"]
    assert cells["f6"] == ["Linear", "84", "all", "10.2k", "84", "10.2k", "10.1k", "336"]
    assert re.search(r"^parameters +62,006 +248\.0 kB$", outcome.out, re.M)
    assert re.search(r"^connections +658,238$", outcome.out, re.M)


def test_json_is_exact(repronet):
    found = json.loads(repronet("summary", "model=lenet5_1998", "format=json").out)
    assert (found["model"], found["input"], found["batch"]) == ("lenet5_1998", [1, 32, 32], 1)
    assert found["totals"]["connections"] == 340_908
    assert found["totals"]["parameters"] == 60_000
    (c3,) = [layer for layer in found["layers"] if layer["layer"] == "c3"]
    assert c3["receptive_field"] == [14, 14]
    assert c3["output"] == [16, 10, 10]
    assert c3["sees_all"] is False
    assert c3["connections"] == 151_600


def test_csv_is_exact(repronet):
    rows = list(csv.DictReader(io.StringIO(repronet("summary", "model=lenet5", "format=csv").out)))
    assert [row["layer"] for row in rows if int(row["connections"])] == ["c1", "c3", "c5", "f6", "output"]
    assert sum(int(row["parameters"]) for row in rows) == 61_706
    assert rows[0]["output"] == "6x28x28"
    assert rows[0]["receptive_field"] == "5x5"


def test_markdown_is_a_table(repronet):
    lines = repronet("summary", "model=lenet5", "format=md").out.splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in rows} == {13}
    assert len(rows) == 2 + 11
    assert "| c1 | Conv2d | 6×28×28 | 5×5 | 1×1 | 0×0 | no | 156 | 4,704 | 122,304 | 117,600 | 18,816 |" in rows
    assert "- connections: 423,038" in lines


@pytest.mark.parametrize("word", ["input=[3,32,32]", "input=3,32,32"])
def test_an_input_needs_no_brackets(repronet, word):
    assert json.loads(repronet("summary", "model=lenet5", "format=json", word).out)["input"] == [3, 32, 32]


def totals(repronet, *words: str) -> dict[str, int]:
    return json.loads(repronet("summary", "model=lenet5", "format=json", *words).out)["totals"]


def test_the_memory_of_training(repronet):
    plain = totals(repronet)
    assert plain["gradient_bytes"] == plain["parameter_bytes"] == plain["optimizer_bytes"] == 4 * 61_706
    assert plain["training_bytes"] == plain["kept_bytes"] + 3 * 4 * 61_706
    assert totals(repronet, "batch=64")["kept_bytes"] == 64 * plain["kept_bytes"]
    copies = {"optimizer=nesterov": 1, "optimizer.momentum=0": 0, "optimizer=adam": 2, "optimizer=adamw": 2}
    for word, count in copies.items():
        assert totals(repronet, word)["optimizer_bytes"] == count * 4 * 61_706, word


def test_classes_and_layers_may_be_chosen(repronet):
    found = totals(repronet, "num_classes=3", "layers=torch")
    assert found["parameters"] == 61_706 - 7 * 85


def test_depth_folds_rows(repronet):
    full = repronet("summary", "model=lenet5_1998").out
    folded = repronet("summary", "model=lenet5_1998", "depth=1").out
    assert "squash ScaledTanh\n" in full  # the heading of the layer inside
    assert re.search(r"^squash ScaledTanh +6×28×28", folded, re.M)
    assert full.splitlines()[-10:] == folded.splitlines()[-10:]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "model: missing; say which network: repronet summary model=lenet5"),
        (["model=lenet"], "model=lenet: no such model; nearest: lenet5"),
        (["model=lenet5", "input=3,32"], "input=[3, 32]: must be three whole numbers [C,H,W] of at least 1"),
        (["model=lenet5", "input=0,32,32"], "input=[0, 32, 32]: must be three whole numbers"),
        (["model=lenet5", "input=large"], "input=large: must be three whole numbers"),
        (["model=lenet5", "input=1,8,8"], "input=1,8,8: LeNet5 cannot take images of this size"),
        (["model=lenet5_1998", "input=3,32,32"], "it takes 10 and 1"),
        (["model=lenet5", "num_classes=0"], "num_classes=0: must be a whole number of at least 1"),
        (["model=lenet5", "batch=-1"], "batch=-1: must be a whole number of at least 1"),
        (["model=lenet5", "format=xml"], "format=xml: must be one of table, json, csv, md"),
        (["model=lenet5", "optimizer=lion"], "optimizer=lion: no such optimizer"),
        (["model=lenet5", "data=mnist"], "data=mnist: repronet summary has no data="),
        (["model=lenet5", "inputs=1,32,32"], "inputs=1,32,32: several values make several runs"),
        (["model=lenet5", "deph=1"], "deph=1: no such key; nearest: depth"),
    ],
)
def test_mistakes(repronet, words, message):
    outcome = repronet("summary", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""


def test_its_page(repronet):
    page = repronet("summary", "--help").out
    assert max(map(len, page.splitlines())) <= 80
    assert "EXAMPLES" in page
    assert "repronet summary" in repronet("--help").out


# -- the table alone, for networks of every kind ----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "size"), [("vgg16", 224), ("resnet152", 224), ("inception_v3", 299)])
def test_deep_networks_fit_a_line(name, size):
    with torch.device("meta"):
        network = getattr(torchvision.models, name)(**({"init_weights": False} if name == "inception_v3" else {}))
    summary = summarize(network, (3, size, size))
    lines = table(name, summary, summary.rows, 80).splitlines()
    assert max(map(len, lines)) <= 80
    if name == "resnet152":
        start = lines.index("layer1")
        assert lines[start + 1] == " 0 Bottleneck"
        assert lines[start + 2].startswith("  conv1 Conv2d ")
    if name == "inception_v3":
        assert any(re.match(r"AuxLogits In.* not run +3\.33M$", line) for line in lines)
        assert any("1247×1183" in line for line in lines)  # rows and columns differ, so both are shown


def test_what_was_not_followed_is_a_dash():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3), torch.nn.Upsample(scale_factor=2))
    summary = summarize(network, (1, 8, 8))
    line = next(line for line in table("up", summary, summary.rows, 80).splitlines() if line.startswith("1 Upsample"))
    assert line.split()[:4] == ["1", "Upsample", "1×12×12", "-"]


def test_a_long_name_is_cut_and_a_wide_screen_shows_it():
    row = Row("a" * 60, "Conv2d", (4, 5, 5), None, 1, 2, 3, 4, 5)
    summary = summarize(torch.nn.ReLU(), (1, 8, 8))
    assert "a…" in table("long", summary, [row], 80)
    assert "a" * 60 + " Conv2d" in table("long", summary, [row], 200)


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (999, "999"), (1_000, "1.00k"), (9_994, "9.99k"), (9_995, "10.0k"), (99_950, "100k"), (999_499, "999k"),
     (999_500, "1.00M"), (138_357_544, "138M"), (15_470_264_320, "15.5G")],
)  # fmt: skip
def test_three_digits(number, shown):
    assert short(number) == shown
