"""One file for each command, imported once its config is known to be right.

Each has ``run(config, console)``, or ``run(config, console, words)`` if the command takes words that are no keys. It
raises UserError for input that does not fit (exit code 2) and returns False if it found something wrong (1).
"""
