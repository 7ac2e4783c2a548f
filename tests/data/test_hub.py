"""Images of Hugging Face's package ``datasets``: tables that it saved, and folders of Parquet files."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repronet import runs
from repronet.data.cuts import Cut
from repronet.data.hub import HubData, read_hub
from repronet.data.image_folder import Reading, hub_images
from repronet.data.reading import read_image
from repronet.errors import UserError

datasets = pytest.importorskip("datasets", reason="pip install datasets")
datasets.disable_progress_bars()  # those of what is saved here: repronet's output is looked at
pytestmark = pytest.mark.filterwarnings("ignore")  # of the package and of what it stands on


def image(number: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8))


def png(number: int) -> bytes:
    content = io.BytesIO()
    image(number).save(content, "PNG")
    return content.getvalue()


def table(numbers, labels=None, feature=None, **names):
    columns = {
        names.get("image", "image"): [{"bytes": png(number), "path": None} for number in numbers],
        names.get("label", "label"): labels or [number % 2 for number in numbers],
    }
    kinds = [datasets.Image(), feature or datasets.ClassLabel(names=["cat", "dog"])]
    return datasets.Dataset.from_dict(columns, datasets.Features(dict(zip(columns, kinds, strict=True))))


@pytest.fixture
def saved(tmp_path) -> Path:
    """Sixteen images of training and four, called validation, that ``save_to_disk`` left."""
    datasets.DatasetDict({"train": table(range(16)), "validation": table(range(16, 20))}).save_to_disk(
        tmp_path / "pets"
    )
    return tmp_path / "pets"


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_images_and_labels_are_those_that_were_saved(saved, tmp_path, memory):
    dataset = hub_images(HubData(saved), Reading(16, memory, tmp_path / "cache"), Cut(val=4, test=4))
    assert (dataset.classes, len(dataset.train), len(dataset.val), dataset.test) == (("cat", "dog"), 16, 4, None)
    for first, split in ((0, dataset.train), (16, dataset.val)):
        for row in range(len(split)):
            (tmp_path / "one.png").write_bytes(png(first + row))
            assert torch.equal(split.image(row), read_image(tmp_path / "one.png", 16))
            assert int(split.labels[row]) == (first + row) % 2
    assert dataset.val.name(3) == "val/3"


def test_one_table_is_cut_and_columns_are_named_or_found(tmp_path):
    table(range(12), image="photo", label="animal").save_to_disk(tmp_path / "one")
    layout = read_hub(HubData(tmp_path / "one"))
    assert [file.label for file in layout.files["all"]] == [number % 2 for number in range(12)]
    words = table(range(3), ["b", "a", "b"], datasets.Value("string"), image="photo", label="kind")
    words.save_to_disk(tmp_path / "two")
    with pytest.raises(UserError, match=r"label column unclear; set data\.label_column= to one of photo, kind"):
        read_hub(HubData(tmp_path / "two"))
    assert read_hub(HubData(tmp_path / "two", label="kind")).classes == ("a", "b")
    with pytest.raises(UserError, match=r"data\.label_column=kin: .* has photo, kind; nearest: kind"):
        read_hub(HubData(tmp_path / "two", label="kin"))
    with pytest.raises(UserError, match=r"data\.image_column=kind holds no images"):
        read_hub(HubData(tmp_path / "two", image="kind", label="kind"))


def test_several_labels_an_image(tmp_path):
    several = datasets.List(datasets.ClassLabel(names=["red", "round", "old"]))
    table(range(3), [[0, 2], [], [1]], several).save_to_disk(tmp_path / "tags")
    layout = read_hub(HubData(tmp_path / "tags"))
    assert layout.classes == ("red", "round", "old")
    assert [file.label for file in layout.files["all"]] == [(1, 0, 1), (0, 0, 0), (0, 1, 0)]


def test_a_folder_of_parquet_files_as_on_the_hub(tmp_path, monkeypatch):
    (tmp_path / "repo" / "data").mkdir(parents=True)
    table(range(6)).to_parquet(tmp_path / "repo" / "data" / "train-00000-of-00001.parquet")
    table(range(6, 8)).to_parquet(tmp_path / "repo" / "data" / "test-00000-of-00001.parquet")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    layout = read_hub(HubData(tmp_path / "repo"))
    assert {split: len(files) for split, files in layout.files.items()} == {"train": 6, "test": 2}
    assert layout.files["train"][3].path.read_bytes() == png(3)


def test_what_is_no_table_and_what_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    script = tmp_path / "script"
    script.mkdir()
    (script / "script.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write('it ran')")
    with pytest.raises(UserError, match=r"cannot be loaded"):
        read_hub(HubData(script))
    assert not (tmp_path / "ran").exists()
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "train.csv").write_text("image,label\na.png,1\n")
    with pytest.raises(UserError, match=r"is read by Csv.*; it must be Parquet or Arrow tables"):
        read_hub(HubData(tmp_path / "csv"))


def test_what_is_missing_is_said_in_one_line(repronet, saved, tmp_path, monkeypatch):
    for words in ([], [f"data.root={saved}", "data.hub=user/pets"]):
        outcome = repronet("train", "data=huggingface", *words)
        assert (outcome.code, outcome.err.count("\n")) == (2, 1)
        assert "give data.root=FOLDER (of save_to_disk) or data.hub=NAME, one of the two" in outcome.err
    assert "no such folder" in repronet("train", "data=huggingface", f"data.root={tmp_path / 'none'}").err
    monkeypatch.setitem(sys.modules, "datasets", None)
    outcome = repronet("train", "data=huggingface", f"data.root={saved}")
    assert outcome.err == "repronet: data=huggingface: the package datasets is missing; pip install datasets\n"


def test_a_run_on_it_is_tested_and_used(repronet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    table(range(24)).save_to_disk(tmp_path / "pets")
    words = ["data=huggingface", "data.root=pets", "model=lecture_net", "layers=torch", "data.batch_size=4"]
    outcome = repronet("train", *words, "trainer.max_epochs=1", "trainer.board=none", "run_dir=run")
    assert (outcome.code, outcome.err) == (0, "")
    assert "huggingface: images in image, labels in label\n" in outcome.out
    error = runs.read_result(tmp_path / "run")["test_error"]
    assert repr(error) in repronet("eval", "run=run").out
    (tmp_path / "one.png").write_bytes(png(0))
    assert repronet("predict", "run=run", "images=one.png").code == 0
    assert "1 run" in repronet("report", "run").out
