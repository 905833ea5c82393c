"""Run one seed again and show what happened: `python -m simulation.replay SEED [--mutation NAME] [--lines N]`."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from simulation.center import Site
from simulation.many import in_memory
from simulation.mutation import MUTATIONS
from simulation.world import GATEWAYS, run_seed

COMMAND = "PYTHONPATH=tests python -m simulation.replay"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--mutation", choices=sorted(MUTATIONS), default="none")
    parser.add_argument("--lines", type=int, default=0, help="only the last so many")
    parser.add_argument("--log", action="store_true", help="show what agent and ingester log, too")
    arguments = parser.parse_args()
    logging.disable(logging.NOTSET if arguments.log else logging.CRITICAL)
    with tempfile.TemporaryDirectory(dir=in_memory()) as folder:
        result = run_seed(arguments.seed, Site(Path(folder), GATEWAYS), MUTATIONS[arguments.mutation], keep=True)
    for line in result.lines[-arguments.lines :]:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"seed {result.seed}: {result.violation or 'every promise held'}\n")
    sys.stdout.write(f"digest {result.digest}, {result.virtual_s:.1f} s in {result.cpu_s:.3f} s of CPU\n")
    return 1 if result.violation else 0


if __name__ == "__main__":
    sys.exit(main())
