"""The command that trains generative adversarial networks; see :mod:`repronet.config.command`. Needs no torch."""

from __future__ import annotations

from repronet.config.command import Command
from repronet.config.fields import optional
from repronet.config.schema_commands import LAYERS, SOURCE
from repronet.config.schema_runs import RUN
from repronet.constraints import COUNT, FOLDER, POSITIVE, SEED, SHARE, Constraint, is_side, one_of

SIDE = Constraint(is_side, "a power of 2 of at least 8", "N")


@Command(
    "gan train",
    "train a GAN, whose images a classifier can learn from",
    usage=("[KEY=VALUE ...]", "resume=DIR"),
    examples=(
        "gan train kind=acgan",
        "gan train kind=bagan data=cifar10 trainer.max_epochs=60",
    ),
    groups={"data": "mnist5k", "trainer": "default", "logger": "tensorboard"},
    takes_words=True,
)
class GanTrain:
    """Trains a generator against a discriminator on the training split. dcgan (Radford et al. 2016) ignores classes;
    acgan (Odena et al. 2017) and bagan (Mariani et al. 2018) generate images of a requested class. bagan starts as an
    autoencoder and is meant for classes with few images.

    A judge, a classifier trained on real images, scores every epoch. recognized is the share of generated images that
    it assigns to the requested class; the Fréchet distance compares its features of generated and validation images.
    The weights of the epoch with the smallest distance are kept. The run folder is like that of repronet train, where
    augmentation.generator=DIR adds generated images to the training images.
    """

    kind: str = optional(one_of("dcgan", "acgan", "bagan"), "what is trained", "acgan")
    size: int = optional(SIDE, "height and width of the generated images", 32)
    latent: int = optional(COUNT, "numbers that an image is made from", 64)
    width: int = optional(COUNT, "maps of the largest stage; 64 in the paper of DCGAN", 32)
    norm: str | None = optional(
        one_of("batch", "spectral", "none"), "normalization in the discriminator; default: batch; bagan: none"
    )
    dropout: float | None = optional(SHARE, "dropout in the discriminator; default: acgan 0.5, bagan 0.3, dcgan none")
    lr: float = optional(POSITIVE, "learning rate of Adam, for both networks", 2.0e-4)
    beta1: float = optional(SHARE, "Adam's beta1", 0.5)
    autoencoder_epochs: int | None = optional(COUNT, "bagan: epochs that train the autoencoder; default: 5")
    judge: str | None = optional(
        SOURCE,
        "run folder or repronet/NAME of the judge, or none: the last weights are kept; default: repronet/lenet5-mnist"
        " for MNIST, else none",
    )
    layers: str = optional(LAYERS, "custom: our own layers; torch: PyTorch's", "custom")
    seed: int = optional(SEED, "seed of the weights, the codes and the order of images", 0)
    run_dir: str | None = optional(FOLDER, "a new or empty folder for the run; default: a new one below runs/")
    resume: str | None = optional(RUN, "continue the run in this folder; takes no other keys")

    def conflict(self) -> str | None:
        wrong = self.kind != "bagan" and self.autoencoder_epochs is not None
        return (
            f"autoencoder_epochs={self.autoencoder_epochs}: kind={self.kind} has no autoencoder; leave it out"
            if wrong
            else None
        )
