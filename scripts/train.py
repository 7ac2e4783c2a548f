"""``python scripts/train.py …`` is the same as ``repronet train …``."""

import sys

from repronet.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
