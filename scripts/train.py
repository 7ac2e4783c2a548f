"""``python scripts/train.py …`` is ``repronet train …``."""

import sys

from repronet.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
