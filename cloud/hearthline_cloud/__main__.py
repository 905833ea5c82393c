"""`python -m hearthline_cloud --config FILE [--role ROLE]…`: the cloud as a service runs it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hearthline.errors import HearthlineError
from hearthline.log import configure_logging
from hearthline_cloud.config import load_cloud_config
from hearthline_cloud.roles import parse_roles, run_roles

DEFAULT_CONFIG = Path("/etc/hearthline/cloud.toml")


def serve(config_file: Path, roles: list[str]) -> int:
    """Run the roles; the exit code: 0 stopped, 1 failed, 2 wrong configuration."""
    try:
        config = load_cloud_config(config_file)
        configure_logging(config.log_level)
        return run_roles(config, parse_roles(roles))
    except HearthlineError as error:
        print(f"hearthline cloud: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hearthline_cloud", description=__doc__)
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG)
    parser.add_argument("--role", action="append", default=[], help="ingest, desk or web; all three by default")
    arguments = parser.parse_args()
    sys.exit(serve(arguments.config, arguments.role))


if __name__ == "__main__":
    main()
