"""Drawings of the evidence for a class, of the relations between classes, and of visual words."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from repronet import runs
from repronet.cli.drawings.subject import Subject
from repronet.errors import UserError
from repronet.figures import charts
from repronet.figures.images import Panel, around_grey, sheet, stretched
from repronet.figures.words import words_sheet
from repronet.visualization.embedding import features, neighbours_error, tsne
from repronet.visualization.maximization import maximize
from repronet.visualization.rectifiers import probe_with
from repronet.visualization.saliency import gradcam as class_activation
from repronet.visualization.saliency import input_gradient
from repronet.visualization.saliency import occlusion as occluded
from repronet.visualization.words import DRAWN, SEARCHED, has_words, words_of


def guided(subject: Subject) -> Figure:
    """Images above the gradient of their class score, plain and with guided rectifiers."""
    sample = subject.one_a_class(8)
    rows = [[Panel(pixels, subject.classes[label]) for pixels, label in zip(sample.pixels, sample.labels, strict=True)]]
    for way in ("gradient", "guided"):
        twin = probe_with(subject.classifier.network, way)
        gradients = input_gradient(twin, sample.inputs, sample.labels)
        rows.append([Panel((255 * around_grey(back, 0.005)).round().to(torch.uint8)) for back in gradients])
    return sheet(rows, ("image", "gradient", "guided"), f"{subject.name}: ∂ score of the class / ∂ pixel")


def gradcam(subject: Subject) -> Figure:
    """Images; the evidence for the right class; the evidence for the predicted class."""
    sample = subject.one_a_class(8)
    layer = subject.some_layers(1)[0] if subject.wishes.layer else None
    answers, likely = subject.answers(sample.inputs)
    right = class_activation(subject.network, sample.inputs, sample.labels, layer)
    given = class_activation(subject.network, sample.inputs, answers, layer)
    rows: list[list[Panel]] = [[], [], []]
    for number, pixels in enumerate(sample.pixels):
        answer = f"{subject.classes[int(answers[number])]} {float(likely[number]):.0%}"
        rows[0].append(Panel(pixels, subject.classes[int(sample.labels[number])]))
        rows[1].append(Panel(pixels, "", right[number]))
        rows[2].append(Panel(pixels, answer, given[number]))
    titles = ("image", "for its class", "for the answer")
    return sheet(rows, titles, f"{subject.name}: Grad-CAM of {layer or 'the last maps'}")


def occlusion(subject: Subject) -> Figure:
    """Images; the probability of their class with a grey square at each place; where the prediction is still right."""
    sample = subject.one_a_class(4)
    size = sample.inputs.shape[-1]
    side, stride = max(size // 4, 3), max(size // 28, 1)
    rows: list[list[Panel]] = [[], [], []]
    with subject.progress(len(sample) * len(range(0, size, stride)) ** 2, "covering") as advance:
        for pixels, inputs, label in zip(sample.pixels, sample.inputs, sample.labels.tolist(), strict=True):
            likely, answers = occluded(subject.network, inputs, label, side, stride, advance)
            kept = float((answers == label).float().mean())
            rows[0].append(Panel(pixels, subject.classes[label]))
            rows[1].append(Panel(pixels, f"{float(likely.min()):.0%} to {float(likely.max()):.0%}", likely))
            rows[2].append(Panel((answers == label).to(torch.uint8)[None] * 255, f"right at {kept:.0%} of places"))
    titles = ("image", "how likely its\nclass stays", "white: still\nanswered")
    return sheet(rows, titles, f"{subject.name}: a grey square of {side}×{side} pixels at each place", inch=2.0)


def activation_maximization(subject: Subject) -> Figure:
    """For each of the first classes, the image that gradient ascent finds."""
    labels = torch.arange(min(len(subject.classes), subject.wishes.images or 10))
    shape = (subject.transform.channels, subject.transform.size, subject.transform.size)
    with subject.progress(160, "climbing") as advance:
        images = maximize(subject.network, labels, shape, seed=subject.wishes.seed, advance=advance)
    with torch.no_grad():
        likely = torch.softmax(subject.network(images), dim=1)[labels, labels]
    panels: list[Panel | None] = [
        Panel(stretched(image), f"{subject.classes[n]} {p:.0%}")
        for n, (image, p) in enumerate(zip(images, likely, strict=True))
    ]
    rows = [panels[start : start + 5] for start in range(0, len(panels), 5)]
    return sheet(rows, heading=f"{subject.name}: what each class answers to most")


def features_map(subject: Subject) -> Figure:
    """The features of the last layer in the plane, by t-SNE."""
    sample = subject.sample(2000)
    with subject.progress(len(sample), "features") as advance:
        found = features(subject.network, sample.inputs, advance)
    with subject.console.status("t-SNE"):
        points = tsne(found, subject.wishes.seed)
    error = neighbours_error(points, sample.labels)
    size = f"{found.shape[1]} features of {len(sample):,} {subject.split} images"
    heading = f"{subject.name}: t-SNE of {size}; {error:.1%} lie nearest to another class"
    return charts.point_map(points, sample.labels, subject.classes, heading, sample.pixels)


def confusion(subject: Subject) -> Figure:
    """The confusion matrix: of the test if split=val and the run was tested, otherwise of the chosen split."""
    subject.require_one_label("confusion")
    if subject.split == "val" and subject.folder is not None and (subject.folder / runs.CONFUSION).is_file():
        counts = torch.tensor(runs.read_confusion(subject.folder)[1])
        return charts.confusion(counts, subject.classes, f"{subject.name}, test")
    counts = torch.zeros(len(subject.classes), len(subject.classes), dtype=torch.long)
    rows_of = torch.arange(len(subject.images())).split(250)
    with subject.progress(len(rows_of), "answering") as advance:
        for part in rows_of:
            sample = subject.taken(part)
            counts.index_put_((sample.labels, subject.answers(sample.inputs)[0]), torch.tensor(1), accumulate=True)
            advance(1)
    return charts.confusion(counts, subject.classes, f"{subject.name}, {subject.split}")


def words(subject: Subject) -> Figure:
    """Visual words as patches, where they occur in images, and the weights of the pyramid's cells."""
    network = subject.network
    if not has_words(network):
        name = subject.config.model.name
        raise UserError(f"what=words: {name} has no visual words; bovw_spm_svm and fisher_svm have")
    sample = subject.sample(SEARCHED)
    found = words_of(network, sample.inputs, sample.pixels, DRAWN)
    return words_sheet(found, sample.pixels, f"{subject.name}: visual words, the heaviest in the SVM first")
