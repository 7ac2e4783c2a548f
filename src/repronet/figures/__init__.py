"""Drawings of tensors and tables, as matplotlib figures that a file or TensorBoard can take."""
