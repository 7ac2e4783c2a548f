"""Names of files and folders as people have them, wherever a path is taken: each means the file of that name."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from odd_images import write_good
from repronet import models, weights
from repronet.config.overrides import path_of

pytestmark = pytest.mark.field

NAMES = [
    "my photos",
    "it's",
    'a"b',
    "[x]",
    "a=b",
    "caf\u00e9 \u732b",
    "a,b",
    "{z}",
    "$HOME",
    "x#y",
    "~tilde",
    "a'b'c",
    "-x",
    "%",
]
NAMES += ["a'b'c", "-x", "%", "a\\b", "!x", "(p)", "*", "a;b", " lead", "null "]


@pytest.mark.parametrize("form", ["{}", "./{}/", "'{}'", "HERE/{}"])
@pytest.mark.parametrize("name", NAMES)
def test_a_folder_is_found_under_any_name(tmp_path, monkeypatch, name, form):
    monkeypatch.chdir(tmp_path)
    if form == "'{}'":
        name, written = name, "'{}'".format(name.replace("'", "\\'"))
    else:
        written = form.format(name).replace("HERE", str(tmp_path))
    (tmp_path / name).mkdir()
    key, value = path_of(f"data.root={written}")
    assert key == "data.root"
    assert (Path(value).expanduser().resolve(), Path(value).expanduser().is_dir()) == (tmp_path / name, True)


def test_a_home_is_a_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_of("weights=~/w.pth") == ("weights", "~/w.pth")
    assert path_of("weights=null") == ("weights", None)


@pytest.mark.parametrize("name", ["my photos", "it's [x]=1", "~caf\u00e9"])
def test_a_run_has_such_names_everywhere(repronet, tmp_path, name):
    for split in ("train", "val"):
        write_good(tmp_path / name / split, seed=len(split))
    Image.new("RGB", (20, 20)).save(tmp_path / f"{name}.png")
    weights.save(models.create("lenet5", num_classes=2), tmp_path / f"{name}.safetensors")
    words = [
        "model=lenet5",
        "data=image_folder",
        "data.resize=32",
        "data.batch_size=3",
        "data.workers=0",
        "trainer.board=none",
    ]
    words += [f"data.root={name}", f"weights={name}.safetensors", f"run_dir=r {name}", "trainer.max_epochs=1"]
    outcome = repronet("train", *words, "layers=torch")
    assert (outcome.code, outcome.err) == (0, "")
    outcome = repronet("predict", f"run=r {name}", f"images={name}.png", f"out=o {name}.csv", f"sheet=s {name}.png")
    assert (outcome.code, outcome.err) == (0, "")
    assert (tmp_path / f"o {name}.csv").exists()
    assert (tmp_path / f"s {name}.png").exists()
    outcome = repronet("train", f"resume='r {name}'" if "'" not in name else f"resume=r {name}")
    assert "the run has ended" in outcome.err
