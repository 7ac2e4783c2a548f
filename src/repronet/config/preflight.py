"""Checks of a config that need no torch, which takes seconds to import: missing folders, files and names."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from omegaconf import DictConfig

from repronet import runs, zoo
from repronet.config import plugins
from repronet.config.schema_commands import PRETRAINED
from repronet.data.folders import Layout, chosen_classes, class_folders, refuse_too_few, shown, split_folders
from repronet.data.hub import HubData, require_hub_data
from repronet.data.lists import WEB, images_in
from repronet.data.shards import find_shards
from repronet.data.table import Columns, paths_of, read_table
from repronet.errors import UserError

_TENSORS = (b"PK\x03\x04", b"\x80")  # how a file of torch.save begins: a zip archive, or before 2020 a pickle
_OF_OTHERS = {  # file ending: the program that writes it
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "Keras"),
    **dict.fromkeys((".pb", ".tflite"), "TensorFlow"),
    **dict.fromkeys((".npz", ".npy"), "NumPy"),
    **{".onnx": "ONNX", ".gguf": "llama.cpp", ".caffemodel": "Caffe", ".t7": "Lua Torch", ".mlmodel": "Core ML"},
    ".json": "settings, such as the index of several files of weights",
}
_ENDINGS = frozenset({".pth", ".pt", ".th", ".ckpt", ".safetensors", ".bin", ".tar", ".pkl", ".h5", ".onnx"})


def look(config: DictConfig) -> None:
    """Check the folders and files that a command's config names, if it names any."""
    if config.get("run"):
        require_run(Path(config.run).expanduser(), "run")
    if config.get("data") and config.data.name == "table":
        _require_classes(config.data, read_named_table(config.data).classes)
    elif config.get("data") and config.data.name == "webdataset" and not config.get("run"):
        find_shards(None if config.data.root is None else Path(config.data.root).expanduser())
    elif config.get("data") and config.data.name == "huggingface" and not config.get("run"):
        require_hub_data(HubData(config.data.root and Path(config.data.root).expanduser(), config.data.hub))
    elif config.get("data") and config.data.name == "image_folder" and not (config.data.root or config.get("run")):
        raise UserError("data=image_folder: data.root must name the folder of images")
    elif config.get("data") and config.data.get("root"):
        least = 2 if config.get("optimizer") else 1  # classes; a command that does not train accepts one
        _look_at_data(config.data, Path(config.data.root).expanduser().resolve(), least)
    if config.get("data") and config.data.get("per_class") is None and config.data.get("per_class_seed") is not None:
        raise UserError(f"data.per_class_seed={config.data.per_class_seed}: needs data.per_class; add it")
    if config.get("augmentation"):
        _look_at_generator(config)
    if isinstance(config.get("images"), str):  # in visualize it is a number
        images_in(config.images)
    if config.get("weights") and config.weights != PRETRAINED:
        _look_at_weights(config.weights)
    if config.get("finetune"):
        require_something_to_tune(config)


def look_at_all(configs: Sequence[DictConfig]) -> None:
    """:func:`look` at each config that names other files: a table is read only once for all runs on it."""
    named = ("run", "data", "weights", "finetune", "images")
    for config in {repr({key: config.get(key) for key in named}): config for config in configs}.values():
        look(config)


def require_run(folder: Path, key: str) -> None:
    """Refuse a folder that is not a run folder.

    Raises:
        UserError: when ``folder`` holds neither a config nor a checkpoint.
    """
    if not any((folder / name).is_file() for name in (runs.CONFIG, runs.BEST, runs.LAST)):
        runs.require_run(folder, runs.CONFIG, key)


def require_something_to_tune(config: DictConfig) -> None:
    """Refuse fine-tuning without weights."""
    way = config.finetune.name
    if config.weights is None and way not in ("none", "scratch"):
        raise UserError(f"finetune={way}: needs initial weights; set weights= to a name, a file or a run folder")


def _look_at_generator(config: DictConfig) -> None:
    folder, fills = config.augmentation.get("generator"), config.data.balance == "gan"
    if fills and folder is None:
        raise UserError("data.balance=gan: needs a trained GAN; add augmentation.generator=DIR")
    if fills and config.augmentation.generated is not None:
        given = f"augmentation.generated={config.augmentation.generated}"
        raise UserError(f"{given}: data.balance=gan generates what is missing; leave one of the two out")
    if folder is not None:
        require_run(Path(folder).expanduser(), "augmentation.generator")


def _look_at_data(data: DictConfig, root: Path, least: int) -> None:
    name = data.name
    if name == "image_folder":
        source = split_folders(root).get("train", root)
        classes = [folder.name for folder in class_folders(source)]
        refuse_too_few(classes, root, source, least)
        _require_classes(data, classes)
    elif name == "npz":
        if not root.is_file():
            raise UserError(f"data.root={shown(root)}: no such file; data=npz needs a .npz file")
    elif name != "mnist5k" and name not in plugins.named("data") and not root.is_dir():
        raise UserError(f"data.root={shown(root)}: no such folder (make it to download there, or leave data.root out)")


def _require_classes(data: DictConfig, classes: Sequence[str]) -> None:
    if data.classes is not None:
        chosen_classes(data.classes, classes)


def read_named_table(data: DictConfig) -> Layout:
    """The images and labels that ``data=table`` names.

    Raises:
        UserError: as :func:`repronet.data.table.read_table`.
    """
    return read_table(*paths_of(data), Columns.named_by(data), data.max_skipped if data.on_error == "skip" else None)


def _look_at_weights(name: str) -> None:
    path = Path(name).expanduser()
    if name.startswith(WEB) or "hub:" in name:
        raise UserError(f"weights={name}: is an address; download the file and give its path")
    if zoo.is_named(name):
        zoo.path_of(name)
    elif path.is_dir():
        require_run(path, "weights")
    elif path.is_file() and (program := _OF_OTHERS.get(path.suffix.lower())):
        raise UserError(f"weights={shown(path)}: is a file of {program}; convert it to torch.save or safetensors")
    elif path.is_file():
        with path.open("rb") as file:
            begins = file.read(9)
        # A safetensors file begins with the length of its header in eight bytes, and the header with a brace.
        if not (begins.startswith(_TENSORS) or begins[8:] == b"{"):
            raise UserError(f"weights={shown(path)}: no file of torch.save or safetensors, or damaged from its start")
    elif path.suffix in _ENDINGS or name.startswith(("/", "./", "../", "~")) or (name.isalpha() and name.islower()):
        beside = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        near = "".join(f"; nearest: {name}" for name in get_close_matches(path.name, [*beside, PRETRAINED], 1))
        raise UserError(f"weights={shown(path)}: no such file, run or name of published weights{near}")
