"""Images in tar files, as WebDataset lays them out."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from repronet import runs
from repronet.config.build import data_of
from repronet.config.compose import compose
from repronet.data.cuts import Cut
from repronet.data.image_folder import Reading, shard_images
from repronet.data.images import ImageFiles
from repronet.data.reading import read_image
from repronet.data.shards import find_shards, read_shards
from repronet.errors import UserError

COUNT = 24  # images in two shards
WHOLE_CUT = Cut(val=4, test=4)


def png(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def write(shard: Path, members: dict[str, bytes]) -> Path:
    shard.parent.mkdir(exist_ok=True)
    with tarfile.open(shard, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return shard


def label(number: int) -> str:
    return ("cat", "dog", "eel")[number % 3]


@pytest.fixture
def shards(tmp_path) -> Path:
    """``train-000.tar`` and ``train-001.tar`` with twelve images each; their classes as words."""
    for number in range(2):
        rows = range(12 * number, 12 * number + 12)
        members = {f"{row:04}.{end}": made for row in rows for end, made in (("png", png(row)), ("cls", label(row)))}
        content = {name: made.encode() if isinstance(made, str) else made for name, made in members.items()}
        write(tmp_path / "shards" / f"train-{number:03}.tar", content)
    return tmp_path / "shards"


def reading(tmp_path: Path, memory: float) -> Reading:
    return Reading(16, memory, tmp_path / "cache")


@pytest.mark.parametrize("memory", [4.0, 0.0])
def test_images_and_labels_are_those_of_the_files(shards, tmp_path, memory):
    dataset = shard_images(shards / "train-{000..001}.tar", None, reading(tmp_path, memory), WHOLE_CUT)
    assert dataset.classes == ("cat", "dog", "eel")
    assert [len(split) for split in (dataset.train, dataset.val, dataset.test)] == [16, 4, 4]  # type: ignore[arg-type]
    assert isinstance(dataset.train.images, ImageFiles) is (memory == 0)
    for split in (dataset.train, dataset.val, dataset.test):
        for row in range(len(split)):
            name = split.name(row)  # train-001.tar/0017.png
            number = int(Path(name).stem)
            assert name == f"train-{number // 12:03}.tar/{number:04}.png"
            (tmp_path / "one.png").write_bytes(png(number))
            assert torch.equal(split.image(row), read_image(tmp_path / "one.png", 16))
            assert dataset.classes[split.labels[row]] == label(number)


def test_an_index_is_kept_and_read_again_while_the_shards_are_the_same(shards, tmp_path):
    first = read_shards(shards, None, tmp_path / "cache")
    (index,) = (tmp_path / "cache").glob("shards-*.json")
    assert len(json.loads(index.read_text())) == COUNT
    assert read_shards(shards, None, tmp_path / "cache") == first
    index.write_text(json.dumps(json.loads(index.read_text())[:-1]))
    assert len(read_shards(shards, None, tmp_path / "cache").files["train"]) == COUNT - 1  # so it is what is read
    write(shards / "train-001.tar", {"0.png": png(0), "0.cls": b"dog"})
    assert len(read_shards(shards, None, tmp_path / "cache").files["train"]) == 13


def test_labels_in_json_several_at_once_and_numbers_with_names_beside_them(tmp_path):
    says = {"0.png": png(0), "0.json": b'{"tags": ["b", "a"], "x": 1}', "1.png": png(1), "1.json": b'{"tags": []}'}
    layout = read_shards(write(tmp_path / "a.tar", {**says, "2.png": png(2), "2.json": b'{"tags": ["b"]}'}), None, None)
    assert layout.classes == ("a", "b")
    assert [file.label for file in layout.files["all"]] == [(1, 1), (0, 0), (0, 1)]
    numbers = {
        "d/x.0.png": png(0),
        "d/x.cls": b"1\n",
        "d/y.jpg": png(1),
        "d/y.txt": b"0",
        "d/.z.png": b"",
        "r.txt": b"?",
    }
    (tmp_path / "numbers").mkdir()
    (tmp_path / "numbers" / "classes.txt").write_text("night\nday\n")
    layout = read_shards(write(tmp_path / "numbers" / "b.tar", numbers), None, None)
    assert layout.classes == ("night", "day")
    assert [file.label for file in layout.files["all"]] == [1, 0]


@pytest.mark.parametrize("content", ["night\nday", "night\r\nday\r\n", "night\nday\n\n", "\ufeffnight\nday\n"])
def test_class_names_are_read_whatever_ends_their_lines(tmp_path, content):
    write(tmp_path / "a.tar", {"0.png": png(0), "0.cls": b"0", "1.png": png(1), "1.cls": b"1"})
    (tmp_path / "classes.txt").write_bytes(content.encode())
    assert read_shards(tmp_path / "a.tar", None, None).classes == ("night", "day")


def test_names_of_shards_say_their_split(shards, tmp_path):
    write(shards / "validation_0.tar", {"0.png": png(0), "0.cls": b"dog"})
    dataset = shard_images(shards, None, reading(tmp_path, 4), WHOLE_CUT)
    assert (len(dataset.train), len(dataset.val), dataset.test) == (COUNT, 1, None)
    assert len(find_shards(shards / "{train,validation}[-_]*.tar")) == 3
    write(shards / "extra.tar", {"0.png": png(0), "0.cls": b"dog"})
    with pytest.raises(
        UserError, match=r"cannot assign .*\.tar to a split; shard names must start with train, val or test"
    ):
        read_shards(shards, None, None)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.tar", b"no tar file" * 100, r"a\.tar: cannot be read as a tar file"),
        ("a.tar", b"\x1f\x8b" + b"0" * 600, r"unpack it with gunzip first"),
        ("a.tar", {"0.png": png(0)}, r"a\.tar/0\.png: has no label beside it"),
        ("a.tar", {"0.cls": b"1"}, r"no image there"),
        ("a.tar", {"0.png": png(0), "0.jpg": png(1), "0.cls": b"1"}, r"has 0\.jpg too; a sample has one image"),
        ("a.tar", {"0.png": png(0), "0.json": b'{"who": 1}'}, r"no label found; set data\.label_column= to one of who"),
        ("a.tar", {"0.png": png(0), "0.json": b'{"label": {"a": 1}}'}, r"its label is \{'a': 1\}; it must be a word"),
        ("a.tar", {"0.png": png(0), "0.json": b'{"label"'}, r"0\.json: is no UTF-8 text, or no JSON"),
        ("a.tar", {"0.png": png(0), "0.cls": b"1"}, r"has the class 1 alone; there must be two or more"),
    ],
)
def test_what_cannot_be_meant_is_one_line(tmp_path, name, content, said):
    if isinstance(content, dict):
        write(tmp_path / name, content)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        read_shards(tmp_path / name, None, None)


@pytest.mark.parametrize(
    ("root", "said"),
    [
        (None, "data.root must name the shards"),
        ("shards/train-{000..002}.tar", r"no shard .*train-002\.tar"),
        ("shards/*.tgz", r"no \.tar file there"),
        ("pipe:cat shards/train-000.tar", "shards are files on this machine; download them first"),
        ("https://example.org/train-000.tar", "download them first"),
    ],
)
def test_shards_that_are_not_there_are_refused_before_anything_is_imported(repronet, shards, monkeypatch, root, said):
    monkeypatch.chdir(shards.parent)
    with pytest.raises(UserError, match=said):
        find_shards(root and Path(root))
    words = [] if root is None else [f"data.root={root}"]
    outcome = repronet("train", "data=webdataset", *words)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1


def test_a_run_on_shards_is_gone_on_with_tested_and_used(repronet, shards, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ["data=webdataset", "data.root=shards/train-{000..001}.tar", "model=lecture_net", "layers=torch"]
    words += ["data.batch_size=4", "trainer.max_epochs=2", "trainer.board=none", "data.workers=0", "data.memory=0"]
    outcome = repronet("train", *words, "run_dir=run")
    assert (outcome.code, outcome.err) == (0, "")
    assert "webdataset: 24 images in 2 shards\n" in outcome.out
    assert "17 train, 3 validation, 4 test" in outcome.out
    error = runs.read_result(tmp_path / "run")["test_error"]
    assert repr(error) in repronet("eval", "run=run").out
    (tmp_path / "one.png").write_bytes(png(0))
    assert repronet("predict", "run=run", "images=one.png").code == 0
    assert "1 run" in repronet("report", "run").out


def test_every_epoch_is_shuffled_across_shards_and_resumes_where_it_was(shards, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ["data=webdataset", f"data.root={shards}", "data.memory=0", "data.workers=0", "data.batch_size=4"]

    def batches(epoch: int, done: int) -> list[torch.Tensor]:
        loader = data_of(compose("train", [*words, "model=lecture_net"])).train_dataloader()
        loader.load_state_dict({"epoch": epoch, "batches": done})
        return [images for images, _ in loader]

    whole = batches(1, 0)
    assert sum(map(len, whole)) == 17
    assert all(map(torch.equal, batches(1, 2), whole[2:]))
    assert not torch.equal(batches(0, 0)[0], whole[0])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # it leaves its files open
def test_what_webdataset_itself_writes_is_read(tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="pip install webdataset")
    (tmp_path / "shards").mkdir()
    with webdataset.ShardWriter(str(tmp_path / "shards" / "train-%03d.tar"), maxcount=4, verbose=0) as writer:
        for number in range(10):
            writer.write({"__key__": f"{number:03}", "png": Image.open(io.BytesIO(png(number))), "cls": number % 2})
    layout = read_shards(tmp_path / "shards" / "train-{000..002}.tar", None, None)
    assert layout.classes == ("0", "1")
    assert [file.label for file in layout.files["train"]] == [number % 2 for number in range(10)]
    read = webdataset.WebDataset(str(tmp_path / "shards" / "train-{000..002}.tar"), shardshuffle=False).decode("rgb8")
    for sample, file in zip(read, layout.files["train"], strict=True):
        assert np.array_equal(read_image(file.path).permute(1, 2, 0).numpy(), sample["png"])
