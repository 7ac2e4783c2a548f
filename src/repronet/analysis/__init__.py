"""What can be asked of layers and networks from outside: how fast they are, and whether their gradients are right."""
