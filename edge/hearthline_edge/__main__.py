"""`python -m hearthline_edge --config FILE`: the agent as a service runs it, without the command line's libraries."""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
from pathlib import Path

from hearthline.errors import HearthlineError
from hearthline.log import configure_logging
from hearthline_edge.agent import run_agent
from hearthline_edge.config import load_edge_config
from hearthline_edge.outbox_file import check_schema

DEFAULT_CONFIG = Path("/etc/hearthline/edge.toml")


def serve(config_file: Path) -> int:
    """Run the agent; the exit code: 0 stopped, 1 failed, 2 wrong configuration."""
    try:
        config = load_edge_config(config_file)
        configure_logging(config.log_level)
        asyncio.run(run_agent(config))
    except HearthlineError as error:
        print(f"hearthline edge: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


def check(config_file: Path) -> int:
    """Whether this version can work here: it has been imported, reads the configuration and knows the outbox."""
    try:
        outbox = Path(load_edge_config(config_file).data_dir) / "outbox.db"
        if outbox.exists():
            check_schema(outbox)
    except (HearthlineError, OSError, sqlite3.Error) as error:
        print(f"hearthline edge: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code if isinstance(error, HearthlineError) else 1
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hearthline_edge", description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    parser.add_argument("--check", action="store_true", help="look at configuration and outbox, start nothing")
    given = parser.parse_args()
    sys.exit((check if given.check else serve)(given.config))


if __name__ == "__main__":
    main()
