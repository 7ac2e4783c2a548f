"""Callbacks for training: records, curves, images, progress, stopping and checkpoints."""
