"""Drawings of tensors and tables, as matplotlib figures, for files or TensorBoard."""
