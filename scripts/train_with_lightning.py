"""Train LeNet-5 with a plain Lightning Trainer: ``python scripts/train_with_lightning.py [EPOCHS]``.

After an interruption the same command resumes from the latest checkpoint.
"""

import argparse
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, LearningRateMonitor, ModelCheckpoint
from pytorch_lightning.loggers import TensorBoardLogger

import repronet
from repronet import ImageClassifier, models

FOLDER = Path("lightning_logs/lenet5")


def main(epochs: int) -> None:
    pl.seed_everything(0)
    data = repronet.data("mnist5k")  # a LightningDataModule: 3,500 digits to train on, 500 to validate, 1,000 to test
    model = ImageClassifier(
        models.create("lenet5", num_classes=10, in_channels=1),
        optimizer={"name": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4},
        schedule="one_cycle",
    )
    best = ModelCheckpoint(FOLDER, "best", monitor="val/error", enable_version_counter=False)
    trainer = pl.Trainer(
        max_epochs=epochs,
        log_every_n_steps=10,
        logger=TensorBoardLogger(FOLDER.parent, name="", version=FOLDER.name),
        callbacks=[
            best,
            ModelCheckpoint(FOLDER, "last", enable_version_counter=False),  # after every epoch, to resume from
            EarlyStopping(monitor="val/error", patience=10),
            LearningRateMonitor(logging_interval="step"),
        ],
    )
    last = FOLDER / "last.ckpt"
    trainer.fit(model, data, ckpt_path=last if last.exists() else None)
    trainer.test(model, data, ckpt_path=best.best_model_path)

    probabilities = trainer.predict(model, data, ckpt_path=best.best_model_path)  # test images, (N, 10) per batch
    assert probabilities is not None
    answers = torch.cat(probabilities).argmax(dim=1)  # type: ignore[arg-type]  # (1000, 10) → (1000,)
    print("every hundredth answer:", " ".join(data.classes[answer] for answer in answers[::100].tolist()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("epochs", nargs="?", type=int, default=20, metavar="EPOCHS")
    main(parser.parse_args().epochs)
