"""How many trials a fault test makes, and what it publishes.

`make test` runs each in its short form, `make torture` (HEARTHLINE_TORTURE=long) in the long one whose figures stand in
docs/proof.md. HEARTHLINE_SEED repeats a run; HEARTHLINE_TRIALS=FILE appends what was published, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LONG = os.environ.get("HEARTHLINE_TORTURE", "short") == "long"
SEED = int(os.environ.get("HEARTHLINE_SEED", "20261122"))
_FILE = os.environ.get("HEARTHLINE_TRIALS")

published: list[dict[str, Any]] = []


def trials(short: int, long: int) -> int:
    """The number of trials of this run."""
    return long if LONG else short


def rate_bound(n: int) -> float:
    """No failure in `n` independent trials bounds the failure rate below this, at 95 % (the rule of three)."""
    return 3 / n


def publish(name: str, **figures: Any) -> None:
    """Tell the figures of a finished trial: at the end of the test run, and in the file of results."""
    result = {"trial": name, "form": "long" if LONG else "short", "seed": SEED, **figures}
    published.append(result)
    if _FILE:
        result = {"date": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="seconds"), **result}
        with Path(_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(result, ensure_ascii=False) + "\n")
