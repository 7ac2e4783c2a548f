"""One HTML file that classifies images in a browser, without a network connection.

It contains the network as ONNX, ONNX Runtime Web to run it, and ``image.js``, which transforms an image for the network
as :class:`repronet.data.eval_transform.EvalTransform` does. The runtime is not part of this package: npm installs it,
and its files must be those that the page was tested with.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from repronet.errors import UserError

if TYPE_CHECKING:  # a missing runtime is reported before torch is imported
    from repronet.data.eval_transform import EvalTransform
    from repronet.training.classifier import Classifier

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
# The two files of its folder dist/ that a page contains, with their SHA-256
SCRIPT = "ort.wasm.bundle.min.mjs", "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90"
BINARY = "ort-wasm-simd-threaded.wasm", "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"
LARGEST = 256 * 2**20  # bytes of a graph; its base64 text is near the limit of browsers


@dataclass(frozen=True)
class Runtime:
    """The two files of ONNX Runtime Web, which runs the graph in the browser."""

    script: bytes
    binary: bytes


def runtime_in(folder: str | None) -> Runtime:
    """Read ONNX Runtime Web from ``folder``, that of its npm package, or else from the user's cache."""
    from platformdirs import user_cache_path

    cache = Path(os.environ.get("REPRONET_CACHE") or user_cache_path("repronet")) / "npm"
    package = Path(folder).expanduser() if folder else cache / "node_modules" / PACKAGE
    found = []
    for name, expected in (SCRIPT, BINARY):
        path = package / "dist" / name
        if not path.is_file():
            given = f"runtime={folder}: no dist/{name} there" if folder else f"to=page needs {PACKAGE}"
            raise UserError(f"{given}; npm install --prefix {cache} {PACKAGE}@{VERSION} brings it")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise UserError(f"{path}: is not that of {PACKAGE} {VERSION}, with which pages are tested; install that")
        found.append(content)
    return Runtime(*found)


def write_page(path: Path, classifier: Classifier, graph: bytes, outputs: tuple[str, ...], runtime: Runtime) -> Path:
    """Write the page for a graph that takes pixels; returns ``path``.

    Args:
        outputs: names of the graph's outputs; "evidence" are class activation maps.
    """
    if len(graph) > LARGEST:
        raise UserError(f"to=page: the network has {len(graph) >> 20} MiB, a page takes {LARGEST >> 20}; take to=onnx")
    transform, here = classifier.transform, files("repronet.cli.page")
    spec = {
        "classes": transform.classes,
        "evidence": "evidence" in outputs,
        "multilabel": transform.multilabel,
        "transform": transform_in_words(transform),
    }
    page = page_template("repronet.cli.page", "page.html.j2").render(
        name=classifier.config["model"]["name"],
        classes=transform.classes,
        evidence=spec["evidence"],
        several=transform.multilabel,
        spec=json.dumps(spec).replace("<", "\\u003c"),  # a class named </script> must not end the script
        code="\n".join((here / name).read_text(encoding="utf-8") for name in ("image.js", "page.js")),
        parts={"script": _packed(runtime.script), "binary": _packed(runtime.binary), "graph": _packed(graph)},
        runtime=f"{PACKAGE} {VERSION}",
    )
    path.write_text(page, encoding="utf-8")
    return path


def page_template(package: str, name: str, **filters: Callable[[str], str]) -> jinja2.Template:
    """A template in ``package`` that escapes the values it gets and fails if one is missing."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(filters)
    return environment.from_string((files(package) / name).read_text(encoding="utf-8"))


def transform_in_words(transform: EvalTransform) -> dict[str, Any]:
    """The part of the transform that comes before the graph, as settings for ``image.js``."""
    return {
        "channels": transform.channels,
        "side": transform.native or transform.size,
        "shortSide": transform.native or transform.short_side,
        "pad": transform.pad,
        "readSide": transform.read_side,
        "fit": transform.fit,
    }


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")
