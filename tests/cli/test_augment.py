"""``repronet augment``: the sheet, in a file and in TensorBoard."""

from __future__ import annotations

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from repronet.cli.commands import augment
from repronet.config.compose import compose


def test_the_sheet_is_written_where_it_is_wanted(repronet, tmp_path):
    outcome = repronet("augment", "images=2", "variants=3", "out=sheets/digits.png", "logdir=tb")
    assert (outcome.code, outcome.err) == (0, "")
    assert "sheets/digits.png: 2 rows of 4 images" in outcome.out
    with Image.open(tmp_path / "sheets" / "digits.png") as sheet:
        assert sheet.width > sheet.height > 200
    events = EventAccumulator(str(tmp_path / "tb")).Reload()
    assert events.Tags()["images"] == ["augmentation/mnist"]


COLOUR_STEPS = ("colour_cast", "snow")


def test_every_step_of_a_policy_has_its_row_beside_the_original(repronet, monkeypatch):
    drawn = []
    monkeypatch.setattr(augment, "contact_sheet", lambda rows, heading: drawn.extend(rows) or _Blank())
    config = compose("augment", ["augmentation=lecture"])
    grey = [step for step in config.augmentation.steps if step.op not in COLOUR_STEPS]
    words = ", ".join(f"{{op: {step.op}}}" for step in grey)
    outcome = repronet("augment", "augmentation=lecture", f"augmentation.steps=[{words}]", "each=true", "variants=2")
    assert outcome.code == 0, outcome.err
    assert [row.title for row in drawn] == [step.op for step in grey]
    for row in drawn:
        assert len(row.images) == 3
        assert any((variant != row.images[0]).any() for variant in row.images[1:]), row.title


class _Blank:
    def savefig(self, path):
        path.write_bytes(b"")


@pytest.mark.parametrize("op", ["mixup", "cutmix"])
def test_mixing_is_shown_with_an_image_of_another_class(repronet, monkeypatch, op):
    drawn = []
    monkeypatch.setattr(augment, "contact_sheet", lambda rows, heading: drawn.extend(rows) or _Blank())
    outcome = repronet("augment", f"augmentation={op}", f"augmentation.steps=[{{op: {op}, alpha: 1}}]", "images=1")
    assert outcome.code == 0, outcome.err
    assert any((variant != drawn[0].images[0]).any() for variant in drawn[0].images[1:])


def test_the_seed_decides_the_sheet(repronet, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert repronet("augment", f"seed={seed}", f"out={name}.png", "images=1").code == 0
    content = {name: (tmp_path / f"{name}.png").read_bytes() for name in "abc"}
    assert content["a"] == content["b"] != content["c"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["each=true"], "each=true: augmentation=mnist has no steps; augmentation=lecture has"),
        (["augmentation=lecture"], "colour_cast needs colours"),
        (["out=sheet.jpg"], "out=sheet.jpg: must be the name of a .png file"),
        (["augmentation=lecture", "augmentation.steps=[{op: flop}]"], "steps[0].op=flop: no such step; nearest: flip"),
        (["augmentation=lectur"], "nearest: lecture"),
        (["out=/proc/none/sheet.png"], "out=/proc/none/sheet.png: cannot be written"),
    ],
)
def test_bad_words_are_one_line(repronet, words, message):
    outcome = repronet("augment", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
