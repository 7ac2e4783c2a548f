"""``python -m repronet`` is ``repronet``."""

from repronet.cli import main

main()
