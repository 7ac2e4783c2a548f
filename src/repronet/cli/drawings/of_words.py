"""Drawings of what a vocabulary of visual words holds."""

from __future__ import annotations

from matplotlib.figure import Figure

from repronet.cli.drawings.subject import Subject
from repronet.errors import UserError
from repronet.figures.words import words_sheet
from repronet.visualization.words import DRAWN, SEARCHED, has_words, words_of


def words(subject: Subject) -> Figure:
    """Visual words as patches, where they come in pictures, and how much the cells of the pyramid count."""
    network = subject.network
    if not has_words(network):
        name = subject.config.model.name
        raise UserError(f"what=words: {name} has no visual words; bovw_spm_svm and fisher_svm have")
    sample = subject.sample(SEARCHED)
    found = words_of(network, sample.inputs, sample.pixels, DRAWN)
    return words_sheet(found, sample.pixels, f"{subject.name}: visual words, the heaviest in the SVM first")
