"""Records that no run wrote."""

from __future__ import annotations

from collections.abc import Sequence

from repronet.reproduction import record as records

EPOCH = 352  # steps


def made_up(
    experiment: str,
    seed: int = 0,
    test_error: float = 0.0875,
    train: Sequence[float] = (0.5, 0.2, 0.1),
    val: Sequence[float] = (0.6, 0.3, 0.2),
    budget: str = "paper",
    lr: float = 0.1,
    test_error_top5: float | None = None,
) -> records.Record:
    """A record of a run of as many epochs as there are training errors."""
    history = [
        {"epoch": n, "step": n * EPOCH, "train_error": one, "val_error": other, "train_loss": 1.0, "val_loss": 1.0}
        for n, (one, other) in enumerate(zip(train, val, strict=True), start=1)
    ]
    config = {"experiment": experiment, "budget": budget, "optimizer": {"lr": lr}}
    top5 = {"test_error_top5": test_error_top5, "center_error_top5": test_error_top5}
    return records.sealed(
        {
            **({} if test_error_top5 is None else top5),
            "experiment": experiment,
            "budget": budget,
            "seed": seed,
            "config_sha256": records.digest(config),
            "config": config,
            "commit": "0" * 40,
            "versions": {"torch": "2"},
            "hardware": {"gpu": None, "processor": "abacus", "torch_threads": 1},
            "finished": "2026-01-01T00:00:00+00:00",
            "protocol": "center",
            "center_error": test_error,
            "test_error": test_error,
            "test_images": 10_000,
            "best_epoch": min(history, key=lambda row: row["val_error"])["epoch"],
            "best_val_error": min(val),
            "last_val_error": val[-1],
            "last_train_error": train[-1],
            "epochs": len(history),
            "steps": len(history) * EPOCH,
            "train_seconds": 100.0,
            "deviations": ["validation is stratified"],
            "history": history,
        }
    )
