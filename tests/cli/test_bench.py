import pytest


def test_a_shape_is_timed_by_every_algorithm(repronet):
    outcome = repronet("bench", "conv", "input=[2,4,9,8]", "filters=6", "kernel=[3,2]", "stride=2", "dtype=float64")
    assert outcome.code == 0
    assert "2×4×9×8 → 6, 3×2/2 pad 1" in outcome.out
    rows = {line.split()[0]: line.split()[1:] for line in outcome.out.splitlines() if line[:1].isalpha()}
    for algorithm in ("direct", "im2col", "adjoint", "fft", "vendor"):
        assert len(rows[algorithm]) == 4
        assert all(float(cell.rstrip("*")) > 0 for cell in rows[algorithm])
    assert rows["winograd"] == ["-", "-", "-", "does", "not", "apply"]
    assert outcome.out.count("*") == 4  # one winner a step, and the line that says so
    assert max(map(len, outcome.out.split("lie in")[0].splitlines())) <= 80


def test_a_single_algorithm_is_timed_too(repronet):
    outcome = repronet("bench", "conv", "input=[2,4,9,8]", "algorithms=[im2col]")
    row = next(line.split() for line in outcome.out.splitlines() if line.startswith("im2col"))
    assert all(float(cell.rstrip("*")) > 0 for cell in row[1:])
    assert "* the fastest of these" in outcome.out


def test_a_network_is_timed_on_its_own_images(repronet):
    outcome = repronet("bench", "conv", "model=lenet5", "algorithms=[vendor]")
    assert "64×1×32×32 → 6, 5" in outcome.out


def test_a_network_is_timed_shape_by_shape(repronet):
    outcome = repronet("bench", "conv", "model=lenet5", "input=[2,1,32,32]", "algorithms=[vendor,im2col]")
    assert "2×1×32×32 → 6, 5  (0.2 M multiplications, 1×)" in outcome.out
    assert "2×6×14×14 → 16, 5" in outcome.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bench"], "bench: needs a second word, one of: bench conv, bench step"),
        (["bench", "pool"], "bench pool: needs a second word, one of: bench conv, bench step"),
        (["bench", "conv", "kernel=99"], "window (99, 99) is larger than the padded input"),
        (["bench", "conv", "kernel=0"], "kernel=0: must be a whole number of at least 1"),
        (["bench", "conv", "stride=[1,2,3]"], "stride=[1, 2, 3]: must be"),
        (["bench", "conv", "input=[1,3,8]"], "input=[1, 3, 8]: must be four whole numbers"),
        (["bench", "conv", "groups=3"], "groups=3: must divide the 16 channels of filters="),
        (
            ["bench", "conv", "algorithms=[fast]"],
            "algorithms=['fast']: must be a list, such as [im2col,vendor], of direct",
        ),
        (["bench", "conv", "algorithms=[winograd]", "stride=2"], "algorithms=[winograd]: none serves 64×16×32×32"),
        (["bench", "conv", "model=lenet5", "filters=3"], "filters=3: has no effect beside model=lenet5"),
        (["bench", "conv", "kernal=5"], "kernal=5: no such key; nearest: kernel"),
        (["bench", "conv", "data=mnist"], "data=mnist: repronet bench conv has no data="),
        (["bench", "conv", "accelerator=gpu"], "accelerator=gpu: PyTorch finds no GPU"),
    ],
)
def test_mistakes(repronet, words, message, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    outcome = repronet(*words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.slow
def test_whole_steps_are_timed_in_processes_of_their_own(repronet):
    outcome = repronet("bench", "step", "model=lenet5", "input=[2,1,32,32]", "rounds=1", "ways=[torch,auto]")
    assert outcome.code == 0
    assert "lenet5, images 2×1×32×32" in outcome.out
    rows = {line.split()[0]: line.split()[1:] for line in outcome.out.splitlines() if line[:1].isalpha()}
    assert rows["torch"][2] == "1.00"
    for way in ("torch", "auto"):
        first, milliseconds, ratio, _, tensors, process = rows[way]
        assert float(first) > 0
        assert float(milliseconds) > 0
        assert float(ratio) > 0
        assert 0 < float(tensors) < float(process)
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "model: missing; say which network: repronet bench step model=resnet20"),
        (["model=lenet5", "ways=[fast]"], "ways=['fast']: must be a list, such as [torch,auto], of torch"),
        (["model=lenet5", "input=[2,3,99,99]", "ways=[auto]"], "auto: its process ended: RuntimeError: LeNet5 takes"),
    ],
)
def test_mistakes_with_steps(repronet, words, message):
    outcome = repronet("bench", "step", *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
