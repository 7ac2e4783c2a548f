"""The commands that use the network of a run, one class each; see :mod:`repronet.config.command`. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from repronet.config.command import Command
from repronet.config.fields import flag, optional, required
from repronet.config.schema_commands import LAYERS, PNG, SOURCE
from repronet.constraints import COUNT, FOLDER, PROBABILITY, SEED, Constraint, one_of
from repronet.data.folders import SPLITS

# VIEWS and DENSE of repronet.data.eval_transform
PROTOCOLS = ("center", "ten_crop", "multi_scale", "crops_144", "dense", "dense_multi_scale")
RUN = Constraint(bool, "a run folder", "DIR")
CHECKPOINT = one_of("best", "last")
ANY_FILE = Constraint(lambda x: bool(x.strip()), "the name of a file", "FILE")
TABLE = Constraint(lambda x: x.endswith((".csv", ".json")), "the name of a .csv or .json file")
PAGE = Constraint(lambda x: x.endswith(".html") and len(x) > 5, "the name of a .html file")
GRAPHS = ("onnx", "torch_export")
IMAGES = Constraint(lambda x: bool(x.strip()), "a folder, an image, a pattern or a .txt with names", "PATH")
DRAWINGS = (  # as in repronet.cli.drawings, without torch
    *("filters", "activations", "deconvnet", "receptive_field", "guided", "gradcam", "occlusion"),
    *("activation_maximization", "tsne", "words", "confusion", "loss_surface", "augmentations", "curves"),
)
DRAWING_LIST = Constraint(
    lambda xs: bool(xs) and (xs == ["all"] or set(xs) <= set(DRAWINGS)),
    f"all, or one or several, such as filters,tsne, of {', '.join(DRAWINGS)}",
    "NAME[,NAME]",
)


@dataclass
class Trained:
    """Which trained network a command takes."""

    run: str | None = optional(RUN, "the run folder")
    weights: str | None = optional(
        SOURCE,
        "instead of a run: repronet/NAME of `repronet list weights`, a .safetensors file of repronet export, or "
        "NETWORK/NAME of torchvision",
    )
    checkpoint: str = optional(CHECKPOINT, "of a run: the best weights on validation, or the last weights", "best")

    def conflict(self) -> str | None:
        if self.run is None and self.weights is None:
            return "run: missing; it must be a run folder, or give weights=repronet/lenet5-mnist for instance"
        both = self.run is not None and self.weights is not None
        return f"weights={self.weights}: run={self.run} has weights of its own; give one of the two" if both else None


@Command(
    "eval",
    "test the network of a run, from its folder alone",
    usage=("run=DIR [KEY=VALUE ...]", "weights=SOURCE [data=NAME] [KEY=VALUE ...]"),
    examples=(
        "eval run=runs/digits",
        "eval run=runs/digits checkpoint=last",
        "eval run=runs/digits layers=torch",
        "eval weights=repronet/lenet5-mnist",
    ),
    groups={"data": None},
)
class Eval(Trained):
    """Rebuilds data and network from the run folder and prints test error and loss, equal to those of the run to the
    last digit. weights=repronet/NAME does the same from the record of these weights. data=NAME tests on another dataset
    of the same classes, with its images prepared as in training.
    """

    protocol: str = optional(one_of(*PROTOCOLS), "one view of each image, or the mean over several views", "center")
    layers: str | None = optional(LAYERS, "other layers than in the run")
    accelerator: str | None = optional(
        one_of("auto", "cpu", "gpu", "cuda", "mps"), "another accelerator than in the run"
    )
    data_root: str | None = optional(FOLDER, "new place of the data, if they were moved")


@Command(
    "predict",
    "classify images with a trained network",
    usage=("run=DIR images=PATH [KEY=VALUE ...]", "weights=SOURCE images=PATH [KEY=VALUE ...]"),
    examples=(
        "predict run=runs/pets images=new",
        "predict run=runs/pets images=new out=new.json sheet=unsure.png",
        "predict weights=repronet/lenet5-mnist images=digit.png",
    ),
)
class Predict(Trained):
    """Classifies every image with the network of a run and writes a table of the most likely classes. It needs only the
    run folder. Images that cannot be read are listed and left out.
    """

    images: str = required(
        IMAGES, "a folder, an image, a pattern ('new/*.jpg'), or a .txt file with one name on each line"
    )
    protocol: str = optional(one_of(*PROTOCOLS), "one view of each image, or the mean over several views", "center")
    top: int = optional(
        COUNT, "number of classes to write for each image, most likely first; with several labels, see threshold=", 5
    )
    threshold: float = optional(
        PROBABILITY, "with several labels for each image: write those at least this likely", 0.5
    )
    batch_size: int = optional(COUNT, "images at a time", 64)
    out: str = optional(TABLE, "the table, .csv or .json", "predictions.csv")
    sheet: str | None = optional(PNG, "draw the 25 images with the least certain predictions here")
    layers: str = optional(LAYERS, "custom: our own layers; torch: PyTorch's", "custom")


@Command(
    "visualize",
    "draw what the network of a run has learned",
    usage=("run=DIR what=NAME[,NAME ...] [KEY=VALUE ...]", "weights=SOURCE what=NAME[,NAME ...] [KEY=VALUE ...]"),
    examples=(
        "visualize weights=repronet/lenet5-mnist what=filters",
        "visualize run=runs/digits what=all",
        "visualize run=runs/digits what=deconvnet layer=layer3.0.conv2 maps=9",
    ),
)
class Visualize(Trained):
    """Writes each drawing as a PNG, and for TensorBoard:

      filters          the filters of the first layer
      activations      the output of layers for one image
      deconvnet        what excites maps most, projected back to pixels,
                       beside what they see (Zeiler and Fergus 2014)
      receptive_field  what units can see, and how much of it matters
      guided           the gradient of a class, plain and guided
      gradcam          where the evidence for a class is
      occlusion        the effect of a grey square at each place
      activation_maximization
                       the image that excites a class most
      tsne             the features of the last layer in the plane
      words            visual words as patches, where they occur, and the
                       weights of the pyramid's cells
      confusion        what each class is confused with
      loss_surface     the loss around the weights
      augmentations    training images, augmented
      curves           loss, error and learning rate by epoch

    If several are requested, those that do not apply to the network are skipped, with the reason.
    """

    what: list[str] = required(DRAWING_LIST, "all, or the names of drawings")
    split: str = optional(one_of(*SPLITS), "split that the images are from", "val")
    layer: str | None = optional(None, "layer to draw, by its name in `repronet summary`; default: first to last")
    images: int | None = optional(COUNT, "number of images to show or search; default: as many as the drawing needs")
    maps: int = optional(COUNT, "number of maps of a layer", 16)
    seed: int = optional(SEED, "seed for the choice of images and directions", 0)
    out: str | None = optional(FOLDER, "folder for the drawings; default: pictures/ in the run folder, or here")
    layers: str = optional(LAYERS, "custom: our own layers; torch: PyTorch's", "custom")
    data_root: str | None = optional(FOLDER, "new place of the data, if they were moved")


@Command(
    "report",
    "compare runs with each other and their papers",
    usage=("[DIR ...] [KEY=VALUE ...]",),
    examples=("report", "report runs/sweeps/digits out=sweep.html"),
    takes_words=True,
)
class Report:
    """Prints the errors of all runs below the folders and writes one page with these errors, the papers' errors, all
    curves and a diagnosis in words, the differences between configs, a confusion matrix whose cells link to their
    images, results for each class, drawings, and the environment. The page needs no other file.

    For a folder of records, such as results/ of repronet reproduce, it prints paper | ours ± deviation | z | budget and
    the verdicts on the papers' claims, and writes both into results/README.md. Without a folder it reports results/
    and runs/.
    """

    out: str = optional(PAGE, "file for the page", "report.html")


@Command(
    "export",
    "write the network of a run for other programs",
    usage=("run=DIR to=FORMAT [KEY=VALUE ...]",),
    examples=(
        "export run=runs/pets to=onnx",
        "export run=runs/pets to=onnx with_pixels=true images=new",
        "export run=runs/pets to=page images=new",
        "export run=runs/pets to=safetensors out=pets.safetensors",
    ),
)
class Export:
    """Writes the network in eval mode, reads the file back as another program would, and keeps it only if both give the
    same output. onnx is a graph for other frameworks and needs `pip install onnx onnxscript`; torch_export is a
    torch.export program (.pt2); safetensors has the weights and the network's name; torchvision has the weights under
    torchvision's keys (.pth).

    page is one HTML file that classifies images in a browser, without a network connection, and shows which parts of an
    image support a class. It contains ONNX Runtime Web from npm; if that is missing, the command says how to get it.
    """

    run: str = required(RUN, "the run folder")
    to: str = required(one_of("onnx", "torch_export", "safetensors", "torchvision", "page"), "the format")
    checkpoint: str = optional(CHECKPOINT, "the best weights on validation, or the last weights", "best")
    out: str | None = optional(ANY_FILE, "file to write; default: <run>/<network> with the format's ending")
    any_size: bool = flag("onnx, torch_export: allow any height and width, if the network does")
    with_pixels: bool = flag("onnx, torch_export: input uint8 pixels, with the preprocessing in the graph")
    images: str | None = optional(IMAGES, "also test the file on these images, given as for predict")
    runtime: str | None = optional(
        FOLDER, "page: the npm package onnxruntime-web; default: the one in the user's cache"
    )

    def conflict(self) -> str | None:
        for key in ("any_size", "with_pixels"):
            if getattr(self, key) and self.to not in GRAPHS:
                has = "takes pixels of one size" if self.to == "page" else "holds no graph"
                return f"{key}=true: to={self.to} {has}; leave it out"
        wrong = self.runtime is not None and self.to != "page"
        return f"runtime={self.runtime}: to={self.to} holds none; leave it out" if wrong else None
