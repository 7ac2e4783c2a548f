"""The Python and the commands on the pages of the documentation, README.md among them, work as they stand there."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from conftest import REPOSITORY
from documentation import DOCS, PAGES, blocks, commands, execute
from repronet.config.compose import compose, compose_with_launcher, expand
from repronet.config.overrides import is_beside
from repronet.config.schema import COMMANDS
from repronet.session.search import corners

OWN_PARTS = DOCS / "how_to" / "own_parts.md"  # test_own_parts.py runs it
WITH_PYTHON = [page for page in PAGES if blocks(page, "python") and page != OWN_PARTS]
WITH_COMMANDS = [page for page in PAGES if commands(page) and page != OWN_PARTS]
NOT_COMPOSED = ("resume=", "resume_sweep=", "exercises=")  # words of train that are no keys


def named(page: Path) -> str:
    return str(page.relative_to(REPOSITORY).with_suffix(""))


def spoken(words: list[str]) -> tuple[str, list[str]]:
    """The name of the command, and the words after it."""
    for name, command in sorted(COMMANDS.items(), key=lambda one: -len(one[1].words)):  # the longest first
        first = command.words.split()
        if words[: len(first)] == first:
            return name, words[len(first) :]
    raise AssertionError(f"repronet {' '.join(words)}: no such command")


@pytest.mark.filterwarnings("default")  # Lightning's, about short epochs and few workers
@pytest.mark.parametrize("page", WITH_PYTHON, ids=named)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch, tables_as_they_were):
    """One block after the other in one session; those that need a download say so in a comment before them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
        elif not block.skipped:
            execute(block, page, names)


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=named)
def test_every_command_of_a_page_composes(page):
    """Every key and choice is there, also of those that need a download or hours."""
    for words in commands(page):
        name, rest = spoken(words)
        keys = [word for word in rest if "=" in word and not word.startswith(NOT_COMPOSED)]
        if name != "list":
            compose_with_launcher(name, _of_one_run(keys)) if "-m" in rest else compose(name, keys)


def _of_one_run(keys: list[str]) -> list[str]:
    """The words of the first run of several, with those of its launcher or search."""
    beside = [word for word in keys if is_beside(word)]
    own = [word for word in keys if word not in beside]
    if "search=optuna" not in beside:
        return [*expand(own)[0], *beside]
    pytest.importorskip("optuna")
    space = [word for word in own if "," in word]
    return [*(word for word in own if word not in space), *next(corners(space)), *beside]


@pytest.fixture
def desk(tmp_path, finished_run) -> Path:
    """A folder with what the pages assume: images, a table of them, a run, records, the solutions of a class."""
    for number in range(60):
        kind = ("cat", "dog")[number % 2]
        file = tmp_path / "photos" / kind / f"{number:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 36), 20 + 60 * (number % 2)).convert("RGB").save(file)
    shutil.copytree(tmp_path / "photos" / "cat", tmp_path / "new")
    rows = (
        f"{file.parent.name}/{file.name},{file.parent.name},{n // 4},{file.parent.name};all"
        for n, file in enumerate(sorted((tmp_path / "photos").rglob("*.png")))
    )
    (tmp_path / "labels.csv").write_text("\n".join(["image,label,patient,tags", *rows]) + "\n")
    shutil.copytree(finished_run, tmp_path / "runs" / "first")
    shutil.copytree(REPOSITORY / "results", tmp_path / "results")
    (tmp_path / "submissions").mkdir()
    (tmp_path / "submissions" / "anna.py").write_text("places_7_stride_3 = [2, 1]\n")
    return tmp_path


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=named)
def test_every_command_of_a_page_runs(page, desk, repronet, monkeypatch):
    """One after the other in one folder; trainings are cut short, and what is marked as not run is left out."""
    for words in commands(page, with_skipped=False):
        name, _ = spoken(words)
        outcome = repronet(*_short(name, words, desk))
        # check leaves with 1 where a solution is missing or wrong, data check where a run would stop
        assert outcome.code == 0 or (outcome.code == 1 and name in ("check", "data_check")), (words, outcome.err)


def _short(name: str, words: list[str], desk: Path) -> list[str]:
    """The words with a run that is there for ``runs/…``, and three steps for a whole training."""
    kept = [_there(word, desk) for word in words]
    if COMMANDS[name].trains and name not in ("schedule", "augment", "summary", "gradcheck", "bench_conv"):
        kept += ["trainer.max_epochs=1", "trainer.max_steps=3"]
    if name == "gan_train":
        kept += ["trainer.max_epochs=1", "trainer.limit_train_batches=3"]
    return kept


def _there(word: str, desk: Path) -> str:
    if not word.endswith("…"):
        return word
    pattern = "runs/sweeps/*/*" if "sweeps" in word else "runs/first"
    newest = max(desk.glob(pattern), key=lambda folder: folder.stat().st_mtime, default=desk / "runs" / "first")
    return word.partition("runs/")[0] + str(newest.parent if "sweeps" in word else newest)


def test_every_callback_that_the_guide_names_is_there():
    rows = re.findall(r"^\| `(\w+)\(.*?\)` \| `([\w.]+)` \|", (DOCS / "how_to/python.md").read_text(), re.MULTILINE)
    assert len(rows) == 9
    for name, module in rows:
        __import__(f"repronet.training.{module}")
        assert hasattr(sys.modules[f"repronet.training.{module}"], name)


def test_the_readme_is_short():
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "README.md"], ids=named)
def test_links_between_pages_lead_somewhere(page):
    _follow(page)


def test_the_links_of_the_readme_lead_somewhere():
    for page in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        _follow(REPOSITORY / page)


def _follow(page: Path) -> None:
    """Links to files; those into generated folders are Sphinx's to check."""
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        place = (page.parent / target).resolve()
        generated = {DOCS / "networks", DOCS / "notebooks"} & set(place.parents)
        assert generated or place.exists(), f"{page.name}: {target}"


def test_the_architecture_page_has_every_package():
    page = (DOCS / "about" / "architecture.md").read_text(encoding="utf-8")
    rooms = {path.stem for path in (REPOSITORY / "src" / "repronet").iterdir() if not path.name.startswith("_")}
    assert not [room for room in rooms - {"py"} if f"`{room}`" not in page]


def test_the_topics_have_their_images():
    shown = [name for page in DOCS.rglob("*.md") for name in re.findall(r"images/topics/(\w+)\.svg", page.read_text())]
    drawn = sorted(path.stem for path in (DOCS / "images" / "topics").iterdir())
    assert drawn == sorted(shown)
