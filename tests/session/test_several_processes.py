"""How many processes a run has, what they tell each other of its end, and which words a resumed run takes."""

from __future__ import annotations

import pytest
from torch.distributed import HashStore  # type: ignore[attr-defined]

from repronet.config.build import _has_a_share_of_one
from repronet.config.compose import compose
from repronet.errors import Fault, UserError
from repronet.runs.processes import Place
from repronet.session import processes
from repronet.session.processes import Peers, is_lost, place_of

CPU = "trainer.accelerator=cpu"


@pytest.mark.parametrize(
    ("word", "size"), [("devices=3", 3), ("devices=[0,1]", 2), ("devices=auto", 1), ("devices=1", 1)]
)
def test_a_config_says_how_many(word, size):
    assert place_of(compose("train", [CPU, f"trainer.{word}"])) == Place(size=size, local_size=size)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trainer.num_nodes=2"], "trainer.num_nodes=2: this is one machine; start repronet on each by torchrun"),
        (["trainer.strategy=fsdp", "trainer.devices=2"], "trainer.strategy=fsdp: needs GPUs; take ddp"),
    ],
)
def test_what_is_not_possible_here_is_refused(words, expected):
    with pytest.raises(UserError, match=expected):
        place_of(compose("train", [CPU, *words]))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(processes, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install deepspeed"):
        place_of(compose("train", [CPU, "trainer.strategy=deepspeed"]))


def test_a_launcher_says_how_many_and_a_config_may_not_differ(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    assert place_of(compose("train", [CPU])) == Place(size=4, local_size=2)
    with pytest.raises(UserError, match=r"trainer.devices=3: the launcher started 2; leave it out"):
        place_of(compose("train", [CPU, "trainer.devices=3"]))


@pytest.mark.parametrize(
    ("count", "batch", "size", "found"),
    [(100, 7, 2, True), (100, 8, 2, False), (98, 7, 2, False), (99, 2, 2, True), (7, 7, 3, False), (8, 7, 1, True)],
)
def test_shares_of_one_image_are_found(count, batch, size, found):
    """Of 100 in sevens two are left, one for each of two processes."""
    assert _has_a_share_of_one(count, batch, size) is found


@pytest.fixture
def peers(monkeypatch) -> list[Peers]:
    """Two processes that share a store, as threads of this one would."""
    monkeypatch.setattr(processes, "REPORTS", 0.2)
    store = HashStore()
    return [Peers(Place(rank, 2, rank, 2), store) for rank in range(2)]


def test_a_lost_connection_is_told_as_what_ended_the_other(peers):
    first, second = peers
    second.report(Fault("photos/cat.jpg: cannot be read"))
    with pytest.raises(Fault, match=r"^photos/cat.jpg: cannot be read$"), first.settling():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1")


def test_a_connection_lost_to_nobody_knows_what_is_said_so(peers):
    peers[0].hint = "; resume with: repronet train resume=a"
    with (
        pytest.raises(Fault, match=r"^another process of the run ended; resume with: .*resume=a$"),
        peers[0].settling(),
    ):
        raise RuntimeError("Connection reset by peer")


def test_the_process_whose_loss_is_no_number_is_listened_to(peers):
    first, second = peers
    second.report(UserError("the loss is no longer finite at step 3: the images are not finite"))
    with pytest.raises(UserError, match=r"^the loss .* the images are not finite$"), first.settling():
        raise UserError("the gradient is no longer finite at step 3: first in conv1")


def test_an_error_of_its_own_is_its_own(peers):
    peers[1].report(UserError("something else"))
    with pytest.raises(UserError, match=r"^mine$"), peers[0].settling():
        raise UserError("mine")


def test_one_process_says_that_the_first_is_gone(peers):
    assert [process.speaks() for process in (peers[1], Peers(Place(2, 3, 2, 3), peers[1].store))] == [True, False]


def test_other_errors_lose_no_connection():
    assert not is_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_lost(UserError("Connection closed by peer"))


def test_a_resumed_run_takes_another_number_of_processes_and_no_other_word(repronet):
    outcome = repronet("train", "resume=nothing", "trainer.devices=2")
    assert outcome.code == 2
    assert "resume=nothing: no run there" in outcome.err
    outcome = repronet("train", "resume=nothing", "trainer.devices=2", "optimizer.lr=1")
    assert "optimizer.lr=1: a resumed run keeps its config" in outcome.err
