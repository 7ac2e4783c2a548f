"""What happens beside the training: records, curves, images, progress."""
