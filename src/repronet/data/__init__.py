"""Images and labels: their sources, splits, preprocessing and augmentation, and the batches made of them."""
