"""The port of the time-series store: points go in durably and repeats are harmless; samples come out in order.

The measurement's name is the quantity; tags say where it was measured; the one field is `value`, a float for ever.
Every implementation passes tests/conformance/test_store.py.
"""

from __future__ import annotations

from pathlib import Path

from hearthline.errors import ConfigError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store.port import Aggregate, Point, Sample, SeriesQuery, Store, Tags
from hearthline_cloud.store.reopening import ReopeningStore

__all__ = ["Aggregate", "Point", "Sample", "SeriesQuery", "Store", "Tags", "open_store"]
_OPEN_TIMEOUT_S = 1.0  # alarms wait for the start to end, and a file that is busy is tried again


def open_store(config: StoreConfig, data_dir: Path) -> Store:
    """The store that the configuration names. Raises ConfigError; a store that is away or damaged is no error here.

    `data_dir` is the home of the embedded store. Both stores may be used from several threads and have a `close()`.
    """
    if config.timeout_s <= 0:
        raise ConfigError(f"store.timeout_s = {config.timeout_s:g}: expected seconds, more than 0")
    if config.kind == "influxdb":
        from hearthline_cloud.store.influx import InfluxStore  # only this store needs the HTTP client

        return InfluxStore(config)
    from hearthline_cloud.store.embedded import EmbeddedStore

    open_timeout_s = min(config.timeout_s, _OPEN_TIMEOUT_S)
    return ReopeningStore(lambda: EmbeddedStore(data_dir, config.timeout_s, open_timeout_s))
