"""The LightningModule: a generator and a discriminator, trained against each other in three ways.

* dcgan: A. Radford et al. 2016 (arXiv:1511.06434), with the non-saturating loss of I. Goodfellow et al. 2014
* acgan: A. Odena, C. Olah, J. Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017
* bagan: G. Mariani et al., "BAGAN: Data Augmentation with Balancing GAN", 2018, arXiv:1803.09655
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric

from repronet import models
from repronet.data.batches import Batch
from repronet.data.module import ImageDataModule
from repronet.data.splits import Split
from repronet.gan.networks import Discriminator, Generator

AT_ONCE = 250  # images that are encoded or generated together


@dataclass(frozen=True)
class Kind:
    """The default settings of a kind of GAN.

    Attributes:
        norm: normalization in the discriminator.
        dropout: dropout rate in the discriminator.
        conditional: whether it generates images of a requested class.
    """

    norm: str
    dropout: float
    conditional: bool = True


KINDS = {"dcgan": Kind("batch", 0.0, False), "acgan": Kind("batch", 0.5), "bagan": Kind("none", 0.3)}


class GAN(pl.LightningModule):
    """Generator G and discriminator D with manual optimization; each has an Adam optimizer, as has bagan's autoencoder.

    For real images x of class c, codes z ~ N(0, I), uniformly drawn classes c', and every loss a mean over the batch:

    dcgan: D has one score s.  L_D = −log σ(s(x)) − log(1 − σ(s(G(z)))),  L_G = −log σ(s(G(z))).

    acgan: G takes [z, onehot(c')]; D has C more scores, for the classes, with cross-entropy H. The class losses are
    added to both losses: L_D + H(x, c) + H(G, c'),  L_G + H(G, c').

    bagan: D has C + 1 scores, the last for "generated". L_D = H(x, c) + H(G, C) over one batch with 1/C as many
    generated images as real ones; L_G = H(G, c'). G and D's body start as decoder and encoder E of an autoencoder,
    trained for ``autoencoder_epochs`` with the loss ‖x − G(E(x))‖²; afterwards z ~ N(μ_c', Σ_c'), the mean and
    covariance of E(x) over the training images of the class (section 3).

    The logged losses are ``train/discriminator``, ``train/generator`` and ``train/autoencoder``.

    Args:
        kind: a key of :data:`KINDS`.
        classes: C.
        channels, size: of the images, (N, channels, size, size) from −1 to 1; size is a power of 2, at least 8.
        latent: number of entries of z.
        width: feature maps at the highest resolution; each halving of the resolution doubles their number.
        norm, dropout: of the discriminator; norm: "batch", "spectral" or "none"; None: the default of the kind.
        layers: "custom" or "torch".
        lr, beta1: of all optimizers; DCGAN and AC-GAN use 0.0002 and 0.5.
        autoencoder_epochs: for bagan only.

    Raises:
        UserError: for a size that is not a power of 2, or below 8.
    """

    means: Tensor  # μ (C, L) and Σ^½ (C, L, L) of bagan
    factors: Tensor

    def __init__(
        self,
        kind: str,
        classes: int,
        channels: int = 1,
        size: int = 32,
        *,
        latent: int = 64,
        width: int = 32,
        norm: str | None = None,
        dropout: float | None = None,
        layers: str = "custom",
        lr: float = 2e-4,
        beta1: float = 0.5,
        autoencoder_epochs: int = 0,
    ):
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.automatic_optimization = False
        self.kind, self.classes, self.latent, self.size = kind, classes, latent, size
        self.lr, self.beta1 = lr, beta1
        self.autoencoder_epochs = autoencoder_epochs if kind == "bagan" else 0
        family, facts = models.layer_family(layers), KINDS[kind]
        outputs = {"dcgan": 1, "acgan": 1 + classes, "bagan": classes + 1}[kind]
        codes = latent + classes if kind == "acgan" else latent
        self.generator = Generator(codes, channels, size, width, family)
        norm, dropout = norm or facts.norm, facts.dropout if dropout is None else dropout
        self.discriminator = Discriminator(outputs, channels, size, width, norm, dropout, family)
        if kind == "bagan":
            self.to_code = family.Linear(self.discriminator.features, latent)
            self.register_buffer("means", torch.zeros(classes, latent))
            self.register_buffer("factors", torch.eye(latent).repeat(classes, 1, 1))
        self.real_or_not, self.which = family.BCEWithLogitsLoss(), family.CrossEntropyLoss()
        self.losses = nn.ModuleDict({name: MeanMetric() for name in ("discriminator", "generator", "autoencoder")})
        for _, metric in self._means():  # in checkpoints, so that a run resumed within an epoch continues them
            metric.persistent(True)

    @property
    def conditional(self) -> bool:
        """Whether it generates images of a requested class."""
        return KINDS[self.kind].conditional

    def forward(self, labels: Tensor, drawn: torch.Generator | None = None) -> Tensor:
        """Images (N, C, S, S) from −1 to 1 of the classes ``labels`` (N,); dcgan ignores the classes."""
        return self.generator(self.codes(labels, drawn))

    def codes(self, labels: Tensor, drawn: torch.Generator | None = None) -> Tensor:
        """The generator's input (N, L) for images of the classes ``labels`` (N,); noise is drawn on the CPU."""
        noise = torch.randn(len(labels), self.latent, generator=drawn).to(labels.device)  # (N, L)
        if self.kind == "acgan":
            return torch.cat((noise, F.one_hot(labels, self.classes).to(noise.dtype)), dim=1)  # (N, L + C)
        if self.kind == "bagan":
            return self.means[labels] + torch.einsum("nij,nj->ni", self.factors[labels], noise)
        return noise

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        parts: list[list[nn.Module]] = [[self.generator], [self.discriminator]]
        if self.kind == "bagan":
            parts.append([self.generator, self.discriminator.body, self.to_code])
        weights = [[weight for module in part for weight in module.parameters()] for part in parts]
        return [torch.optim.Adam(part, self.lr, betas=(self.beta1, 0.999)) for part in weights]

    def training_step(self, batch: Batch, batch_idx: int) -> None:  # type: ignore[override]
        images, labels = batch
        if self.current_epoch < self.autoencoder_epochs:
            *_, optimizer = self._optimizers()
            rebuilt = self.generator(self.to_code(self.discriminator.body(images)))
            self._step(optimizer, "autoencoder", (rebuilt - images).square().mean())
        else:
            self._compete(images, labels)

    def _compete(self, images: Tensor, labels: Tensor) -> None:
        """One step of the discriminator, then one of the generator with the same generated images."""
        for_generator, for_discriminator, *_ = self._optimizers()
        wanted = torch.randint(self.classes, labels.shape).to(labels.device)
        made = self(wanted)  # (N, C, S, S)
        self.toggle_optimizer(for_discriminator)
        self._step(for_discriminator, "discriminator", self.discriminator_loss(images, labels, made.detach(), wanted))
        self.untoggle_optimizer(for_discriminator)
        self.toggle_optimizer(for_generator)
        self._step(for_generator, "generator", self.generator_loss(made, wanted))
        self.untoggle_optimizer(for_generator)

    def discriminator_loss(self, images: Tensor, labels: Tensor, made: Tensor, wanted: Tensor) -> Tensor:
        """L_D for real images (N, C, S, S) of the classes ``labels`` and generated images of the classes ``wanted``."""
        if self.kind == "bagan":
            made = made[: -(-len(made) // self.classes)]
            generated = torch.full((len(made),), self.classes, device=labels.device)
            return self.which(self.discriminator(torch.cat((images, made))), torch.cat((labels, generated)))
        of_real, of_made = self.discriminator(images), self.discriminator(made)  # (N, 1) or (N, 1 + C)
        loss = self._named(of_real, real=True) + self._named(of_made, real=False)
        if self.kind == "acgan":
            loss = loss + self.which(of_real[:, 1:], labels) + self.which(of_made[:, 1:], wanted)
        return loss

    def generator_loss(self, made: Tensor, wanted: Tensor) -> Tensor:
        """L_G for generated images (N, C, S, S) of the classes ``wanted``."""
        scores = self.discriminator(made)
        if self.kind == "bagan":
            return self.which(scores, wanted)
        loss = self._named(scores, real=True)
        return loss + self.which(scores[:, 1:], wanted) if self.kind == "acgan" else loss

    def _named(self, scores: Tensor, real: bool) -> Tensor:
        """The loss of images that should be classified as real, or as generated if ``real`` is False."""
        return self.real_or_not(scores[:, 0], torch.full_like(scores[:, 0], float(real)))

    def _optimizers(self) -> list[LightningOptimizer]:
        found = self.optimizers()
        assert isinstance(found, list)
        return found  # type: ignore[return-value]

    def _step(self, optimizer: LightningOptimizer, name: str, loss: Tensor) -> None:
        step = self.trainer.global_step
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        dict(self._means())[name].update(loss.detach())
        if self.trainer.fit_loop.epoch_loop.batch_idx % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            value = loss.item()
            self.trainer.progress_bar_metrics[name] = value
            for logger in self.trainer.loggers:  # at once: values in self.log are lost if the process is killed
                logger.log_metrics({f"train/{name}": value}, step=step)

    def _means(self) -> Iterator[tuple[str, MeanMetric]]:
        for name, metric in self.losses.items():
            assert isinstance(metric, MeanMetric)
            yield name, metric

    def mean_losses(self) -> dict[str, float | None]:
        """The mean losses over the epoch's batches so far; None for a loss that was not used."""
        return {name: float(metric.compute()) if metric.update_called else None for name, metric in self._means()}

    def on_train_epoch_start(self) -> None:
        for _, metric in self._means():
            metric.reset()

    def on_train_epoch_end(self) -> None:
        if self.current_epoch + 1 == self.autoencoder_epochs:
            data = self.trainer.datamodule  # type: ignore[attr-defined]
            assert isinstance(data, ImageDataModule)
            assert isinstance(data.train, Split)
            parts = [data.pixel_map(images) for images in data.train.images.split(AT_ONCE)]
            self.fit_codes(parts, data.train.labels)

    @torch.no_grad()
    def fit_codes(self, images: list[Tensor], labels: Tensor) -> None:
        """Compute μ_c and Σ_c^½ from the codes of image parts (N, C, S, S); a class without images keeps N(0, I)."""
        self.eval()
        codes = torch.cat([self.to_code(self.discriminator.body(part)) for part in images]).double()  # (N, L)
        self.train()
        for label in labels.unique().tolist():
            of_class = codes[labels == label]
            mean = of_class.mean(dim=0)
            spread = (of_class - mean).T @ (of_class - mean) / max(len(of_class) - 1, 1)  # (L, L)
            values, vectors = torch.linalg.eigh(spread)  # with fewer images than entries, Σ has no Cholesky factor
            self.means[label] = mean.float()
            self.factors[label] = (vectors * values.clamp_min(0).sqrt()).float()

    @torch.no_grad()
    def images(self, labels: Tensor, drawn: torch.Generator) -> Tensor:
        """Generated images of the classes ``labels`` (N,), uint8 (N, C, S, S), with batch norm's running statistics."""
        training = self.training
        self.eval()
        made = [self(part, drawn) for part in labels.to(self.device).split(AT_ONCE)]
        self.train(training)
        return ((torch.cat(made) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
