"""What happens beside the training: records, curves, pictures, progress."""
