"""The LightningModule, what it is trained with, and the callbacks that watch it."""
