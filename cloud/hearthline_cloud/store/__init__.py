"""The port of the time-series store: points go in durably and repeats are harmless; samples come out in order.

The measurement's name is the quantity; tags say where it was measured; the one field is `value`, a float for ever.
Beside the raw values every store keeps summaries of quarters of an hour and of days (`tiers`; docs/data.md).
Every implementation passes tests/conformance/test_store.py.
"""

from __future__ import annotations

from pathlib import Path

from hearthline.errors import ConfigError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store.port import (
    Aggregate,
    Keeping,
    Point,
    Sample,
    SeriesQuery,
    Store,
    Summary,
    Tags,
    TimeSeries,
)
from hearthline_cloud.store.reopening import ReopeningStore
from hearthline_cloud.store.tiers import Tier

__all__ = [
    "Aggregate",
    "Keeping",
    "Point",
    "Sample",
    "SeriesQuery",
    "Store",
    "Summary",
    "Tags",
    "Tier",
    "TimeSeries",
    "keeping_of",
    "open_store",
]
_OPEN_TIMEOUT_S = 1.0  # alarms wait for the start to end, and a file that is busy is tried again


def open_store(config: StoreConfig, data_dir: Path) -> TimeSeries:
    """The store that the configuration names. Raises ConfigError; a store that is away or damaged is no error here.

    `data_dir` is the home of the embedded store. Both stores may be used from several threads and have a `close()`.
    """
    if config.timeout_s <= 0:
        raise ConfigError(f"store.timeout_s = {config.timeout_s:g}: expected seconds, more than 0")
    if config.kind != "embedded":
        from hearthline_cloud.store.influx import InfluxStore  # only these stores need the HTTP client

        return InfluxStore(config)
    from hearthline_cloud.store.embedded import EmbeddedStore

    open_timeout_s = min(config.timeout_s, _OPEN_TIMEOUT_S)
    return ReopeningStore(lambda: EmbeddedStore(data_dir, config.timeout_s, open_timeout_s))


def keeping_of(config: StoreConfig) -> Keeping:
    """For how long the configuration wants each tier kept."""
    return Keeping(config.raw_days, config.quarter_days, config.daily_days)
