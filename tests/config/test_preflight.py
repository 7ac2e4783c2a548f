"""What is refused before torch is imported, so within a second or so."""

import subprocess
import sys
from pathlib import Path

import pytest

from repronet.config import preflight
from repronet.config.compose import compose
from repronet.session.run import with_absolute_root

pytestmark = pytest.mark.field

REFUSED = [
    (["train", "data=image_folder", "data.root=nowhere"], "data.root={here}/nowhere: no such folder"),
    (["train", "data=image_folder", "data.root=empty"], "data.root={here}/empty: no folders in {here}/empty"),
    (["train", "data=npz", "data.root=no.npz"], "data.root={here}/no.npz: no such file"),
    (["train", "data.per_class_seed=1"], "data.per_class_seed=1: needs data.per_class; add it"),
    (["train", "data=table"], "data=table: data.file must name the table"),
    (["train", "data=table", "data.file=no.csv"], "data.file=no.csv: no such file"),
    (
        ["train", "data=table", "data.file=a.csv"],
        "data.file=a.csv: 2 of 2 images are not there, {here}/1.png",
    ),
    (
        ["train", "data=table", "data.file=a.csv", "data.label_column=b"],
        "data.label_column=b: not in a.csv; the",
    ),
    (["train", "data=mnist", "data.root=nowhere"], "data.root={here}/nowhere: no such folder"),
    (["train", "weights=no.pth"], "weights=no.pth: no such file"),
    (["train", "weights=notes.pth"], "weights=notes.pth: no file of torch.save or safetensors"),
    (["train", "weights=empty"], "weights=empty: no run there"),
    (["train", "model=resnet18_32"], "model=resnet18_32: no such model; nearest: resnet18_32px"),
    (["train", "resume=empty"], "resume=empty: no run there"),
    (["train", "-m", "seed=0,1", "weights=no.pth"], "weights=no.pth: no such file"),
    (
        ["train", "data=image_folder", "data.root=two", "data.classes=[cat,dgo]"],
        "data.classes=['cat', 'dgo']: no class dgo",
    ),
    (["train", "data=image_folder", "data.root=one"], "data.root={here}/one: cat is the only folder in {here}/one"),
    (["train", "weights=net.h5"], "weights=net.h5: is a file of Keras; convert it to torch.save or safetensors"),
    (["train", "weights=https://example.org/net.pth"], "weights=https://example.org/net.pth: is an address; download"),
    (["predict", "run=run", "images=nowhere"], "images=nowhere: no image there"),
    (["export", "run=run", "to=page"], "to=page needs onnxruntime-web; npm install"),
    (["eval", "run=empty"], "run=empty: no run there"),
    (["predict", "run=nowhere", "images=x.png"], "run=nowhere: no run there"),
    (["data", "check", "data.root=nowhere"], "data.root={here}/nowhere: no such folder"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("two/cat", "two/dog", "one/cat", "run"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").write_text("plugins: []\n")
    (tmp_path / "net.h5").write_bytes(b"\x89HDF")
    monkeypatch.setenv("REPRONET_CACHE", str(tmp_path / "cache"))
    (tmp_path / "notes.pth").write_text("not weights")
    (tmp_path / "note.pth").write_text("not weights")
    (tmp_path / "a.csv").write_text("image,label\n1.png,x\n2.png,y\n")


def test_nothing_heavy_is_imported(folder):
    """In one process, since each start takes half a second: torch must not have come in with any of them."""
    script = """
import sys
from repronet.cli import main
for words in {words}:
    try:
        main(words)
    except SystemExit as end:
        assert end.code == 2, words
    assert "torch" not in sys.modules, words
"""
    words = [words for words, _ in REFUSED]
    done = subprocess.run([sys.executable, "-c", script.format(words=words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == len(REFUSED)


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=lambda value: "")
def test_each_is_one_line(folder, repronet, words, said, tmp_path):
    outcome = repronet(*words)
    assert outcome.code == 2
    assert outcome.err.startswith("repronet: " + said.replace("{here}", str(tmp_path.resolve())))
    assert len(outcome.err.splitlines()) == 1


def test_a_folder_called_pretrained_is_not_taken_for_the_word(folder, tmp_path):
    (tmp_path / "pretrained").mkdir()
    config = compose("train", ["model=resnet18", "weights=pretrained"])
    preflight.look(config)
    assert with_absolute_root(config).weights == "pretrained"


def test_a_file_of_almost_that_name_is_named(folder, repronet):
    assert "nearest: note.pth" in repronet("train", "weights=nte.pth").err


def test_a_table_is_read_once_for_many_runs(folder, monkeypatch):
    for name in ("1.png", "2.png"):
        Path(name).touch()
    calls, read = [], preflight.read_table
    monkeypatch.setattr(preflight, "read_table", lambda *words: calls.append(words) or read(*words))
    words = ("data=table", "data.file=a.csv")
    preflight.look_at_all([compose("train", [*words, f"seed={seed}"]) for seed in range(3)])
    assert len(calls) == 1
