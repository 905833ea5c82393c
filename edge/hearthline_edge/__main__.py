"""`python -m hearthline_edge --config FILE`: the agent as a service runs it, without the command line's libraries."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from hearthline.errors import HearthlineError
from hearthline.log import configure_logging
from hearthline_edge.agent import run_agent
from hearthline_edge.config import load_edge_config

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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hearthline_edge", description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    sys.exit(serve(parser.parse_args().config))


if __name__ == "__main__":
    main()
