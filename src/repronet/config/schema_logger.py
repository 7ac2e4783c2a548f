"""The keys of ``logger=``, by logger. A config has ``logger: {tensorboard: {}, wandb: {project: …}}``."""

from __future__ import annotations

from dataclasses import dataclass

from repronet.config.fields import flag, optional
from repronet.constraints import Constraint

NAME = Constraint(lambda x: bool(x.strip()), "a name")
ADDRESS = Constraint(lambda x: bool(x.strip()), "an address or a folder")


@dataclass
class TensorBoard:
    """TensorBoard's event files in the run folder."""


@dataclass
class Csv:
    """Lightning's metrics.csv in the run folder."""


@dataclass
class Wandb:
    """Weights & Biases."""

    project: str = optional(NAME, "the project that the run belongs to", "repronet")
    entity: str | None = optional(NAME, "the user or team that owns the project; null: your default")
    offline: bool = flag("write to the run folder and send nothing")


@dataclass
class Mlflow:
    """MLflow."""

    experiment_name: str = optional(NAME, "the experiment that the run belongs to", "repronet")
    tracking_uri: str | None = optional(ADDRESS, "where MLflow's server or folder is; null: as MLflow chooses")


LOGGERS: dict[str, type] = {"tensorboard": TensorBoard, "csv": Csv, "wandb": Wandb, "mlflow": Mlflow}
