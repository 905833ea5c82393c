"""One coverage-guided target in a process of its own: `python tests/fuzz/run_target.py NAME [CORPUS…] [-option=…]`.

    python tests/fuzz/run_target.py wire-event FOLDER -max_total_time=60    fuzz, keep what is new in FOLDER
    python tests/fuzz/run_target.py wire-event crash-1a2b                   replay one input

Options are libFuzzer's. A mistake ends with exit code 77 and leaves the input as `crash-…`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))
_DEVICES = Path(__file__).parent.parent.parent / "edge" / "hearthline_edge" / "devices"
_SHARED = ("__init__", "obis", "lorawan_codecs")  # of several drivers


def unguiding(target: str) -> list[str]:
    """The modules whose branches do not guide a target, for each costs start-up: those of other drivers' families."""
    family = target.split("-")[0].split(" ")[0]
    others = (file.stem for file in _DEVICES.glob("*.py") if file.stem.split("_")[0] != family)
    return [f"hearthline_edge.devices.{name}" for name in others if name not in _SHARED]


_packages = ["hearthline", "hearthline_edge", "fuzz"]
with atheris.instrument_imports(include=_packages, exclude=unguiding(" ".join(sys.argv[1:2]))):
    from fuzz.targets import TARGETS


def main(arguments: list[str]) -> None:
    if not arguments or arguments[0] not in TARGETS:
        sys.exit(f"give the name of a target: {', '.join(TARGETS)}")
    atheris.Setup([sys.argv[0], *arguments[1:]], TARGETS[arguments[0]])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
