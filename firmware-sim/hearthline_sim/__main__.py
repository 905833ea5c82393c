"""`python -m hearthline_sim run …`: the same as `hearthline sim run …`."""

from __future__ import annotations

import sys

from hearthline.cli import run

if __name__ == "__main__":
    sys.exit(run(["sim", *sys.argv[1:]]))
