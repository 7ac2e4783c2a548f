"""A download host on this machine: a whole file is used, one cut off asked for again, the rest refused."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from tiny_networks import drawn, install, same
from torchvision.models import Weights, WeightsEnum

from repronet import weights
from repronet.errors import UserError
from repronet.weights import published


class Host:
    """Serves one file; what it does with each request is told beforehand, the last of it for good."""

    def __init__(self, content: bytes):
        self.content = content
        self.manners = ["whole"]
        self.asked = 0
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # http.server's name
                manner = host.manners[min(host.asked, len(host.manners) - 1)]
                host.asked += 1
                body = {"whole": host.content, "cut": host.content[: len(host.content) // 2], "other": b"x" * 999}[
                    manner
                ]
                self.send_response(200)
                self.send_header("Content-Length", str(len(host.content if manner == "cut" else body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"


@pytest.fixture
def host_of(tmp_path, monkeypatch) -> Iterator[object]:
    """Puts a file's content on a host, under a name with its hash, as weights of the network tiny."""
    install(monkeypatch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    hosts = []

    def serve(content: bytes) -> Host:
        host = Host(content)
        hosts.append(host)
        name = f"tiny-{hashlib.sha256(content).hexdigest()[:8]}.pth"

        class TinyWeights(WeightsEnum):
            IMAGENET1K_V1 = Weights(url=host.url(name), transforms=torch.nn.Identity, meta={})

        monkeypatch.setattr(published, "BUILDERS", {"tiny": "tiny"})
        monkeypatch.setattr("torchvision.models.get_model_weights", {"tiny": TinyWeights}.__getitem__)
        return host

    yield serve
    for host in hosts:
        host.server.shutdown()
        host.server.server_close()


def good(tmp_path: Path) -> bytes:
    torch.save(drawn("tiny", seed=5).state_dict(), tmp_path / "good")
    return (tmp_path / "good").read_bytes()


def kept(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "home" / "hub" / "checkpoints"
    return list(folder.iterdir()) if folder.exists() else []


def test_a_whole_file_is_used_and_asked_for_once(host_of, tmp_path):
    host = host_of(good(tmp_path))
    network = drawn("tiny")
    weights.load(network, "IMAGENET1K_V1")
    weights.load(network, "IMAGENET1K_V1")
    assert same(network, drawn("tiny", seed=5))
    assert host.asked == 1


def test_a_file_that_is_cut_off_is_asked_for_again(host_of, tmp_path):
    host = host_of(good(tmp_path))
    host.manners = ["cut", "whole"]
    network = drawn("tiny")
    weights.load(network, "IMAGENET1K_V1")
    assert same(network, drawn("tiny", seed=5))
    assert host.asked == 2


@pytest.mark.parametrize("manner", ["cut", "other"])
def test_a_file_that_never_comes_right_is_refused_and_not_kept(host_of, tmp_path, manner):
    host = host_of(good(tmp_path))
    host.manners = [manner]
    network = drawn("tiny")
    with pytest.raises(UserError, match=r"cannot be downloaded \(") as refused:
        weights.load(network, "IMAGENET1K_V1")
    assert "\n" not in str(refused.value)
    assert same(network, drawn("tiny"))
    assert kept(tmp_path) == []
    assert host.asked == published.ATTEMPTS


class OpenForWriting:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_malicious_file_with_the_right_hash_is_refused_and_runs_nothing(host_of, tmp_path):
    marker = tmp_path / "it ran"
    torch.save({**drawn("tiny").state_dict(), "x": OpenForWriting(marker)}, tmp_path / "evil")
    host_of((tmp_path / "evil").read_bytes())
    with pytest.raises(UserError, match="refused, it holds more than tensors and plain values") as refused:
        weights.load(drawn("tiny"), "IMAGENET1K_V1")
    assert "\n" not in str(refused.value)
    assert not marker.exists()
    assert kept(tmp_path) == []


@pytest.mark.parametrize("silent", [True, False])
def test_timm_without_a_network_is_given_up_soon(tmp_path, monkeypatch, silent):
    pytest.importorskip("timm", reason="timm is not installed")
    from huggingface_hub import constants

    from repronet.weights import pixels

    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections and says nothing
        port = server.getsockname()[1]
        if not silent:
            server.close()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(pixels, "PATIENCE", 1)
        pixels.of_timm.cache_clear()
        started = time.monotonic()
        with pytest.raises(
            UserError, match=r"^weights=timm/resnet18: cannot be downloaded \(http.* does not answer\)$"
        ):
            pixels.of_timm("resnet18")
        assert time.monotonic() - started < 10


def test_a_host_answers_also_with_a_refusal(host_of):
    from repronet.weights import pixels

    assert pixels._answers(host_of(b"").url("w.pth"))  # which knows no HEAD
