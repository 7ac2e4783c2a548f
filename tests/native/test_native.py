"""The compiled kernels: how they come to be, what is said where they cannot, and whether they keep to their memory."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from differential import NATIVE, random
from repronet import native
from repronet.functional import batch_norm, conv2d
from repronet.functional.convolution import ConvSpec, vendor
from repronet.functional.convolution import native as kernels
from repronet.functional.windows import Geometry

needs_compiler = pytest.mark.skipif(not NATIVE, reason=f"no compiled kernels: {native.missing()}")


@pytest.fixture
def anew(monkeypatch, tmp_path):
    """A cache of its own, and nothing remembered."""
    monkeypatch.setenv("REPRONET_CACHE", str(tmp_path))
    for remembered in (native.library, native.missing):
        remembered.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    for remembered in (native.library, native.missing):
        remembered.cache_clear()


@pytest.mark.parametrize(
    ("compiler", "says"),
    [
        ("/nowhere/cc", "there is no C compiler here (/nowhere/cc); install one, or set CC"),
        ("false", "false does not compile the kernels"),
    ],
)
def test_without_a_compiler_one_line_says_so_and_all_else_computes(anew, monkeypatch, compiler, says):
    monkeypatch.setenv("CC", compiler)
    x = torch.randn(2, 3, 5, 5)
    for call in (lambda a: conv2d(x, x, algorithm=a), lambda a: batch_norm(x, None, None, training=True, algorithm=a)):
        with pytest.raises(ValueError, match=r"^algorithm='native' does not apply: ") as refused:
            call("native")
        assert says in str(refused.value)
        assert "\n" not in str(refused.value)
        call("auto")


def test_a_run_is_refused_in_one_line_before_it_has_a_folder(repronet, anew, monkeypatch, tmp_path):
    monkeypatch.setenv("CC", "/nowhere/cc")
    folder = tmp_path / "run"
    outcome = repronet("train", "algorithm=native", f"run_dir={folder}", "data.per_class=2")
    assert outcome.code == 2
    assert outcome.err == (
        "repronet: algorithm=native: there is no C compiler here (/nowhere/cc); install one, or set CC; "
        "or leave algorithm=auto\n"
    )
    assert not folder.exists()


@pytest.mark.slow
@needs_compiler
def test_what_was_compiled_is_taken_the_next_time(anew):
    native.library()
    (first,) = (anew / "native").glob("*.so")
    written = first.stat().st_mtime_ns
    native.library.cache_clear()
    native.library()
    assert [(path, path.stat().st_mtime_ns) for path in (anew / "native").iterdir()] == [(first, written)]


@needs_compiler
def test_other_sources_or_another_compiler_make_another_library(anew, monkeypatch):
    places = {native._place()}
    monkeypatch.setattr(native, "FLAGS", (*native.FLAGS, "-g"))
    places.add(native._place())
    monkeypatch.setattr(native, "_version", lambda: "another")
    places.add(native._place())
    assert len(places) == 3


@needs_compiler
def test_threads_change_nothing_beyond_rounding_and_the_same_number_nothing():
    x, w = torch.randn(5, 7, 19, 23).double(), torch.randn(9, 7, 3, 3).double()
    found = {}
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3, 7, 3):
            torch.set_num_threads(threads)
            a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
            conv2d(a, b, stride=2, padding=1, algorithm="native").square().sum().backward()
            if threads in found:
                assert torch.equal(found[threads], b.grad)
            found[threads] = b.grad
    finally:
        torch.set_num_threads(before)
    for gradient in found.values():
        torch.testing.assert_close(gradient, found[1])


SANITIZED = """
import ctypes, sys, torch
from repronet import native
from repronet.functional import batch_norm_relu, conv2d
from repronet.functional.convolution import native as kernels
rule = kernels.kernel_for
library = ctypes.CDLL(sys.argv[1])
native.library = lambda: library
kernels.kernel_for = lambda step, first, second, spec: rule(step, first, second, spec) or "conv"
native.missing = lambda: None
for layout in (torch.contiguous_format, torch.channels_last):
    for channels in (1, 3, 20, 40, 300):
        x = torch.randn(3, channels, 5, 7).contiguous(memory_format=layout).requires_grad_()
        r = torch.randn(3, channels, 5, 7).requires_grad_()
        batch_norm_relu(x, None, None, residual=r, training=True, algorithm="native").sum().backward()
        batch_norm_relu(x, None, None, training=True, algorithm="native").sum().backward()
    for c, o, g in ((1, 1, 1), (3, 6, 1), (17, 33, 1), (6, 40, 2), (32, 32, 32), (32, 32, 8), (64, 64, 8), (5, 10, 5)):
        for k, s, p, d in ((1, 1, 0, 1), (3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 4, 2), (5, 1, 0, 1)):
            x = torch.randn(3, c, 13, 11).contiguous(memory_format=layout).requires_grad_()
            w, b = torch.randn(o, c // g, k, k).requires_grad_(), torch.randn(o).requires_grad_()
            conv2d(x, w, b, s, p, d, g, "native").square().sum().backward()
for size in (2, 9, 16):
    x = torch.randn(40, 64, size, size + 1).contiguous(memory_format=torch.channels_last).requires_grad_()
    conv2d(x, torch.randn(80, 64, 3, 3).requires_grad_(), padding=1, algorithm="native").square().sum().backward()
print("clean")
"""


def sanitized(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run all that under AddressSanitizer and UndefinedBehaviorSanitizer, in a process that begins with them."""
    asked = ([*native.compiler(), f"-print-file-name={name}"] for name in ("libasan.so", "libstdc++.so"))
    runtimes = [subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() for words in asked]
    if not all(Path(runtime).is_absolute() for runtime in runtimes):
        pytest.skip("the compiler has no AddressSanitizer")
    library = native.compiled(folder / "sanitized.so", native.SANITIZED)
    environment = {"LD_PRELOAD": " ".join(runtimes), "ASAN_OPTIONS": "detect_leaks=0", "OMP_NUM_THREADS": "2"}
    words = [sys.executable, "-c", SANITIZED, str(library)]
    return subprocess.run(words, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


@needs_compiler
@pytest.mark.slow
def test_no_kernel_leaves_its_memory_or_does_what_c_leaves_open(tmp_path):
    done = sanitized(tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "clean"


@needs_compiler
@pytest.mark.slow
def test_a_sanitizer_would_see_it(tmp_path, monkeypatch):
    """The test above can fail: a kernel that reads beyond its input is stopped."""
    folder = shutil.copytree(Path(native.__file__).parent, tmp_path / "source")
    text = (folder / "norm.h").read_text(encoding="utf-8")
    assert "OUTPUT_ROW(n * l * c - at, 0, 0);" in text
    (folder / "norm.h").write_text(text.replace("(n * l * c - at, 0, 0);", "(n * l * c - at + 9999, 0, 0);"))
    monkeypatch.setattr(native, "__file__", str(folder / "__init__.py"))
    done = sanitized(tmp_path)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr


@needs_compiler
@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AVX2 is an instruction set of x86")
def test_processors_without_avx_512_compute_as_exactly(tmp_path):
    """The kernels' tests once more with shorter vectors, of which there are sixteen registers and not thirty-two."""
    tests = Path(__file__).parents[1]
    chosen = (
        tests / "native",
        tests / "functional" / "test_norm_relu.py",
        tests / "layers" / "test_norm_relu_layers.py",
    )
    shorter = {"CC": shlex.join([*native.compiler(), "-mno-avx512f"]), "REPRONET_CACHE": str(tmp_path)}
    environment = {**os.environ, **shorter}
    asked = [sys.executable, "-c", "from repronet import native; print(native.library().vector_bytes())"]
    assert subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout == "32\n"
    options = ("-q", "-n", "0", "-m", "not slow", "-k", "not compiler")
    words = [sys.executable, "-m", "pytest", *options, *(str(tests / one) for one in chosen)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@needs_compiler
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_kernels_of_convolution_are_exact_to_the_rounding_of_their_sums(data):
    """In float32 too, where torch's kernels serve most shapes: |error| ≤ n·ε·Σ|x·w| for sums of n products."""
    draw = lambda *values: data.draw(st.sampled_from(values))  # noqa: E731
    kernel, stride, spread = (draw(1, 2, 3, 5), draw(1, 3, 4)), draw(1, 1, 2, 3), (draw(1, 1, 2), draw(1, 2))
    groups, padding = draw(1, 1, 2, 3), (data.draw(st.integers(0, kernel[0] + 1)), data.draw(st.integers(0, 3)))
    inner, outer = groups * draw(1, 2, 3, 5, 16, 20), groups * draw(1, 3, 7, 16, 17, 33, 40)
    height, width = (data.draw(st.integers(d * (k - 1) + 1, 40)) for d, k in zip(spread, kernel, strict=True))
    spec = ConvSpec(Geometry(kernel, (stride, stride), padding, spread), groups, "native")
    x = random(draw(1, 2, 5), inner, height, width, dtype=torch.float32)
    x = x.contiguous(memory_format=draw(torch.contiguous_format, torch.channels_last))
    w, b = random(outer, inner // groups, *kernel, dtype=torch.float32), random(outer, dtype=torch.float32)
    with torch.no_grad(), mock.patch.object(kernels, "kernel_for", return_value="conv"):
        y = kernels.forward(x, w, b, spec)
        g = random(*y.shape, dtype=torch.float32, seed=1)
        size, eps = (height, width), torch.finfo(torch.float32).eps
        steps = {
            "forward": ((x, w, b), inner // groups * len(spec.geometry.offsets) + 1),
            "input_gradient": ((g, w, size), outer // groups * len(spec.geometry.offsets)),
            "weight_gradient": ((g, x), g.shape[0] * g.shape[2] * g.shape[3]),
        }
        for step, (operands, many) in steps.items():
            found = getattr(kernels, step)(*operands, spec)
            exact, bound = (
                getattr(vendor, step)(*(change(o) if isinstance(o, torch.Tensor) else o for o in operands), spec)
                for change in (torch.Tensor.double, lambda tensor: tensor.double().abs())
            )
            assert ((found - exact).abs() <= many * eps * bound + 1e-30).all(), step


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("images", "inner", "outer", "height", "width", "padding"),
    [(2, 16, 16, 9, 7, 1), (3, 32, 48, 4, 4, 1), (5, 16, 64, 13, 30, 0), (1, 64, 32, 40, 57, 2), (9, 48, 80, 8, 8, 1)],
)
def test_winograd_is_as_exact_as_it_says(images, inner, outer, height, width, padding, dtype):
    x, w, b = random(images, inner, height, width), random(outer, inner, 3, 3), random(outer)
    spec = ConvSpec(Geometry((3, 3), (1, 1), (padding, padding), (1, 1)), 1, "native")
    g = random(images, outer, height + 2 * padding - 2, width + 2 * padding - 2)
    steps = {"forward": (x, w, b), "input_gradient": (g, w, (height, width)), "weight_gradient": (g, x)}
    with torch.no_grad(), mock.patch.object(kernels, "kernel_for", return_value="winograd"):
        for step, operands in steps.items():
            exact = getattr(vendor, step)(*operands, spec)
            rounded = (o.to(dtype) if isinstance(o, torch.Tensor) else o for o in operands)
            found = getattr(kernels, step)(*rounded, spec)
            assert (found - exact).abs().max() <= 200 * torch.finfo(dtype).eps * exact.abs().max(), step


@needs_compiler
def test_the_rule_takes_winograd_where_there_are_tiles_enough():
    x, w = torch.randn(8, 64, 56, 56), torch.randn(64, 64, 3, 3)
    spec = ConvSpec(Geometry((3, 3), (1, 1), (1, 1), (1, 1)), 1, "native")
    with torch.no_grad():
        chosen = {step: kernels.kernel_for(step, x, w, spec) for step in ("forward", "input_gradient")}
        assert {**chosen, "weight_gradient": kernels.kernel_for("weight_gradient", x, x, spec)} == dict.fromkeys(
            ("forward", "input_gradient", "weight_gradient"), "winograd"
        )
        assert kernels.kernel_for("forward", x[:, :, :2, :2], w, spec) is None  # a tile would be three quarters empty
        assert kernels.kernel_for("forward", x[:, :24], w[:, :24], spec) is None  # no whole vectors


@needs_compiler
def test_operands_say_where_the_output_lies():
    """Not the device that is being built on, whose memory kernels could not write."""
    x, w = torch.randn(2, 16, 8, 8, requires_grad=True), torch.randn(8, 16, 3, 3, requires_grad=True)
    with torch.device("meta"):
        y = conv2d(x.double(), w.double(), stride=2, algorithm="native")
        y.sum().backward()
    assert {y.device.type, w.grad.device.type, x.grad.device.type} == {"cpu"}  # type: ignore[union-attr]
