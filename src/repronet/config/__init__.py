"""Turns the words of a command line into checked values, and these into the objects that they describe."""
