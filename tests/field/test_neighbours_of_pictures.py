"""What else a folder, a list or a table of images may be: read right, or answered in one line with what to do."""

from __future__ import annotations

import io
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image

from odd_images import write_good
from repronet.analysis.wrong_labels import errs_too_often
from repronet.data.folders import read_layout, require_whole_groups
from repronet.data.lists import images_in
from repronet.data.scan import scan_table
from repronet.data.table import Columns, read_table
from repronet.errors import UserError
from repronet.figures import charts
from repronet.figures.images import image_grid

pytestmark = pytest.mark.field


def refusal(call, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_good(tmp_path / "photos")
    return tmp_path / "photos"


def test_an_archive_is_to_be_unpacked(photos, repronet):
    shutil.make_archive("packed", "zip", photos)
    assert "is an archive; unpack it and give the folder" in refusal(read_layout, Path("packed.zip"))
    assert "is an archive; unpack it and give the folder" in refusal(images_in, "packed.zip")
    Path("within").mkdir()
    shutil.copy("packed.zip", "within")
    assert "; unpack packed.zip?" in refusal(read_layout, Path("within"))
    outcome = repronet("data", "check", "data.root=packed.zip")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)


def test_an_address_is_to_be_downloaded():
    assert "is an address; download" in refusal(images_in, "https://example.org/cat.jpg")


def test_a_single_class_is_refused_and_found(photos, repronet):
    shutil.rmtree(photos / "dog")
    assert "cat is the only folder in" in refusal(read_layout, photos)
    outcome = repronet("data", "check", f"data.root={photos}")
    assert outcome.code == 1
    assert "a single class" in outcome.out


def test_classes_one_folder_deeper_are_told(photos):
    (photos.parent / "deep").mkdir()
    photos.rename(photos.parent / "deep" / "animals")
    assert "animals is the only folder in deep; it needs one for each class" in refusal(read_layout, Path("deep"))


def test_the_folder_of_one_class_points_to_the_folder_above(photos):
    folder = next(path for path in photos.iterdir() if path.is_dir())
    assert f"is {photos.name} the folder to give?" in refusal(read_layout, folder)


def test_a_table_and_a_list_of_windows_name_the_same_files(photos):
    files = sorted(photos.rglob("*.png"))
    names = ["\\".join(file.relative_to(photos.parent).parts) for file in files]
    Path("list.txt").write_text("\r\n".join(names))
    assert images_in("list.txt") == [file.relative_to(photos.parent) for file in files]
    rows = [f"{name},{file.parent.name}" for name, file in zip(names, files, strict=True)]
    Path("table.csv").write_text("\n".join(["image,label", *rows]))
    layout = read_table(Path("table.csv"), None, Columns(), None)
    assert sorted(item.path for item in layout.files["all"]) == files


def test_a_backslash_in_a_name_stays_one(photos):
    shutil.copy(next(photos.rglob("*.png")), "a\\b.png")
    Path("list.txt").write_text("a\\b.png\n")
    assert images_in("list.txt") == [Path("a\\b.png")]


@pytest.mark.parametrize("ending", [".xlsx", ".jsonl", ".feather"])
def test_other_tables_are_refused_by_name(tmp_path, ending):
    (tmp_path / f"t{ending}").write_bytes(b"PK\x03\x04")
    said = refusal(read_table, tmp_path / f"t{ending}", None, Columns(), None)
    assert said.endswith("must be .csv or .parquet; save the table as one of these")


def test_groups_that_are_the_classes_are_refused(photos):
    for folder in (photos / "cat", photos / "dog"):
        for number, file in enumerate(sorted(folder.glob("*.png"))):
            file.rename(folder / f"{folder.name}_{number}.png")
    said = refusal(require_whole_groups, read_layout(photos, "prefix"), "data.groups=prefix")
    assert said.startswith("data.groups=prefix: each class is one group (cat: cat), so")
    (photos / "cat" / "cat_0.png").rename(photos / "cat" / "anna_0.png")
    require_whole_groups(read_layout(photos, "prefix"), "data.groups=prefix")


def test_each_of_several_labels_is_counted(photos):
    files = sorted(photos.rglob("*.png"))
    cells = ["red;blue", "red", "", "red;green", "blue", "green"]
    rows = [f"{file},{cell}" for file, cell in zip(files, cells, strict=True)]
    Path("table.csv").write_text("\n".join(["image,label", *rows]))
    report = scan_table(read_table(Path("table.csv"), None, Columns(separator=";"), None))
    assert report.images == {"all": {"blue": 2, "green": 2, "red": 3}}
    assert report.several == {"all": 6}


def test_a_network_that_has_learned_nothing_accuses_no_label():
    torch.manual_seed(0)
    labels = torch.arange(90) % 3
    right = torch.nn.functional.one_hot(labels, 3).double()
    assert errs_too_often(right, labels) is None
    some_wrong = right.roll(1, 0).where(torch.arange(90)[:, None] < 15, right)  # 17 %, of labels that are wrong
    assert errs_too_often(some_wrong, labels) is None
    said = errs_too_often(torch.rand(90, 3).double(), labels)
    assert said is not None
    assert "always guessing the commonest class has 66.7%: too high to judge labels" in said


NAMES = ["x" * 200, "$a$ and $b_$", "$\\frac$", "con", "a=b,c", "[x]", "'q'", "%d", "*", "\u732b", " sp"]


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font:UserWarning")  # of the machine's fonts
def test_names_of_any_kind_are_drawn():
    drawn = [
        charts.confusion(torch.eye(len(NAMES)).long(), NAMES, "$x$ {}"),
        charts.point_map(torch.randn(22, 2), torch.arange(22) % 11, NAMES, "t"),
        image_grid(torch.rand(len(NAMES), 3, 16, 16), NAMES, "$x_$"),
        charts.curves({name: [dict.fromkeys(COLUMNS, 1.0)] for name in NAMES}),
    ]
    for figure in drawn:
        figure.savefig(io.BytesIO(), format="png")


COLUMNS = ("epoch", "train_loss", "val_loss", "train_error", "val_error", "lr")


def test_a_dozen_runs_have_a_dozen_colours():
    figure = charts.curves({f"run {n}": [dict.fromkeys(COLUMNS, 1.0)] for n in range(12)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(io.BytesIO(), format="png")
    assert len({line.get_color() for line in figure.axes[0].get_lines()}) == 12


def test_an_image_on_its_side_and_one_in_ink_are_told_apart(photos):
    """An animated image counts once, by its first frame."""
    frames = [Image.new("RGB", (20, 20), (n, 0, 0)) for n in range(3)]
    frames[0].save(photos / "cat" / "moves.webp", save_all=True, append_images=frames[1:])
    files = [item.path.name for item in read_layout(photos).files["all"]]
    assert files.count("moves.webp") == 1
