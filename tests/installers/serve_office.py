"""Run the office as a service of a booted machine, until it is told to end: PYTHON serve_office.py FOLDER TOLD."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from installers.office import open_office


def main(folder: Path, told: Path) -> None:
    """`told`: written once the center answers: its URL, its configuration."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with open_office(folder) as office:
        told.write_text(json.dumps({"url": office.url, "config": str(office.made.config)}), encoding="utf-8")
        signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
