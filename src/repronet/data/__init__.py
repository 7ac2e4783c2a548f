"""Images and labels: where they come from, how they are split, changed and handed to a network a batch at a time."""
