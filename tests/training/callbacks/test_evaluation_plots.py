"""Which answers are shown, and the projector's files."""

from __future__ import annotations

import io

import torch
from google.protobuf import text_format
from PIL import Image
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torchvision.transforms.v2.functional import pil_to_tensor

from repronet.training.answers import Answers, of_logits
from repronet.training.callbacks.evaluation_plots import projector_files


def test_wrong_answers_the_surest_first_and_all_the_least_certain_first():
    likely = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.3, 0.7], [0.99, 0.01]])
    answers = Answers(torch.tensor([0, 0, 0, 1, 1]), likely)
    assert answers.wrong.tolist() == [4, 1, 2]
    assert answers.least_certain.tolist() == [2, 3, 1, 0, 4]
    assert answers.confusion.tolist() == [[1, 2], [1, 1]]
    assert answers.titles(answers.wrong[:1], ["long-haired cat", "dog"]) == ["dog → long-hair 99%"]


def test_answers_that_are_hardly_apart_stay_apart():
    answers = of_logits(torch.tensor([[0.0, 1e-8, -5.0]]), torch.tensor(1))
    assert (len(answers), answers.given.tolist()) == (1, [1])
    assert answers.likely[0, 1] > answers.likely[0, 0]


def test_the_projector_is_given_features_classes_and_sprites():
    images = torch.zeros(5, 3, 64, 64)
    images[3] = torch.tensor([0.0, 1, 0.5])[:, None, None] + torch.linspace(0, 1e-3, 64)
    files = projector_files(torch.arange(10.0).reshape(5, 2), images, ["a\tb", "a", "ü", "a", "b"])
    config = text_format.Parse(files["projector_config.pbtxt"].decode(), ProjectorConfig())
    [embedding] = config.embeddings
    assert embedding.tensor_name == "features of 5 validation images"
    rows = files[embedding.tensor_path].decode().splitlines()
    assert [list(map(float, row.split("\t"))) for row in rows][4] == [8, 9]
    assert files[embedding.metadata_path].decode().splitlines() == ["a b", "a", "ü", "a", "b"]
    sprites = pil_to_tensor(Image.open(io.BytesIO(files[embedding.sprite.image_path])))
    assert tuple(sprites.shape) == (3, 96, 96)  # three in a row, and as high as wide
    assert sprites[:, 32:64, :32].float().mean() > 100  # the fourth, which is the first of the second row
    assert sprites[:, :32].max() == sprites[:, 64:].max() == 0


def test_many_features_are_reduced_to_their_principal_components():
    points = torch.randn(100, 200)
    files = projector_files(points, torch.zeros(100, 1, 8, 8), ["x"] * 100)
    rows = files["projector/features.tsv"].decode().splitlines()
    reduced = torch.tensor([list(map(float, row.split("\t"))) for row in rows])
    assert tuple(reduced.shape) == (100, 64)
    variances = reduced.var(dim=0)
    assert (variances.diff() < 1e-3).all()
    assert variances.sum() > 0.8 * points.var(dim=0).sum()
