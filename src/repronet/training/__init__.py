"""The LightningModule, its losses, optimizers and schedules, and the callbacks that watch its training."""
