"""``python scripts/evaluate.py …`` is the same as ``repronet eval …``."""

import sys

from repronet.cli import main

if __name__ == "__main__":
    main(["eval", *sys.argv[1:]])
