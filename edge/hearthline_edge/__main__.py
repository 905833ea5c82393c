"""`python -m hearthline_edge --config FILE`: the agent as a service runs it, without the command line's libraries."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sqlite3
import sys
import time
from pathlib import Path

from hearthline.errors import ConfigError, HearthlineError
from hearthline.log import Log, configure_logging
from hearthline_edge.agent import run_agent
from hearthline_edge.config import EdgeConfig
from hearthline_edge.loading import load_changed, load_edge_config, refuse_wrong_lines
from hearthline_edge.outbox_file import check_schema
from hearthline_edge.remote import EXCERPT, Start
from hearthline_edge.remote_trial import MAX_STARTS, Folder

DEFAULT_CONFIG = Path("/etc/hearthline/edge.toml")
log = Log(__name__)


def serve(config_file: Path) -> int:
    """Run the agent; the exit code: 0 stopped, 1 failed, 2 wrong configuration."""
    folder = Folder(config_file)
    ordered_s: float | None = None
    try:
        while True:
            config, on_trial = begin(folder)
            configure_logging(config.log_level, None, EXCERPT)
            try:
                ordered_s = asyncio.run(run_agent(config, Start(folder, on_trial, ordered_s)))
            except Exception as error:  # whatever the configuration on trial has broken; else it is raised again
                if not on_trial or folder.trial().stage != "trial":
                    raise
                log.exception("the configuration on trial has ended the agent")
                folder.take_back(f"it has ended the agent: {_cause(error)}")
                ordered_s = time.monotonic()
            if ordered_s is None:
                return 0
    except HearthlineError as error:
        print(f"hearthline edge: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code


def begin(folder: Folder) -> tuple[EdgeConfig, bool]:
    """What this run works by, and whether that is on trial. Raises ConfigError."""
    trial = folder.trial()
    if trial.stage != "trial":
        return load_edge_config(folder.config_file), False
    try:
        if trial.starts >= MAX_STARTS:
            folder.take_back(f"the agent has not come up with it {trial.starts} times")
            return load_edge_config(folder.config_file), False
        folder.count_start()
        try:
            return load_changed(folder.config_file, trial.config), True
        except ConfigError as error:
            folder.take_back(str(error))
            return load_edge_config(folder.config_file), False
    except OSError:  # a trial that cannot be counted, could begin for ever
        return load_edge_config(folder.config_file, tries=False), False


def _cause(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:400]


def check(config_file: Path) -> int:
    """Whether this version can work here: it has been imported, reads the configuration and knows the outbox."""
    try:
        config = load_edge_config(config_file)
        refuse_wrong_lines(config)
        outbox = Path(config.data_dir) / "outbox.db"
        if outbox.exists():
            check_schema(outbox)
        if config.metrics is not None:
            importlib.import_module("hearthline_edge.metrics")  # the agent does it late
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
