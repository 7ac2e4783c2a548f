"""Run ``repronet`` as ``python -m repronet``."""

from repronet.cli import main

main()
