"""Taking the series of one person out of a time-series store: raw values and summaries."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from hearthline.errors import LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store.embedded import FILE_NAME
from hearthline_cloud.store.tiers import Tier


@dataclass(frozen=True, slots=True)
class Series:
    """Those of a resident; or of a device and nobody: what another person has measured with it is not meant."""

    resident: str = ""
    gateway: str = ""
    device: str = ""

    @property
    def tags(self) -> dict[str, str]:
        return asdict(self) if self.device else {"resident": self.resident}


def erase_series(config: StoreConfig, data_dir: Path, which: Sequence[Series]) -> None:
    """A repeat is harmless. Raises LinkError for a store that is away, or cannot delete."""
    if config.kind == "influxdb":
        _erase_influxdb(config, which)
    elif config.kind == "influxdb2":
        tags = "; ".join(" and ".join(f"{tag}={value}" for tag, value in each.tags.items()) for each in which)
        raise LinkError(
            f"InfluxDB at {config.url}: this version deletes no series there; delete them with its own tool ({tags})"
        )
    elif (data_dir / FILE_NAME).exists():
        _erase_embedded(data_dir / FILE_NAME, which, config.timeout_s)


def _erase_embedded(file: Path, which: Sequence[Series], timeout_s: float) -> None:
    """The samples alone: a store that is open elsewhere knows the numbers of the series."""
    try:
        with closing(sqlite3.connect(file, timeout=timeout_s, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for each in which:
                where = " AND ".join(f"{tag}=?" for tag in each.tags)
                for table in ("sample", Tier.QUARTER, Tier.DAILY):
                    found = f"SELECT id FROM series WHERE {where}"
                    connection.execute(f"DELETE FROM {table} WHERE series IN ({found})", tuple(each.tags.values()))
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise LinkError(f"{file}: values could not be deleted: {error}; try again") from None


def _erase_influxdb(config: StoreConfig, which: Sequence[Series]) -> None:
    from hearthline_cloud.store.influx_http import InfluxHttp  # only this store needs the HTTP client
    from hearthline_cloud.store.influx_text import matching

    http = InfluxHttp(config)
    try:
        for each in which:
            result = http.query(f"DELETE WHERE {matching(each.tags)}")
            if result.error and not result.error.startswith("database not found"):
                raise http.trouble(f"could not delete: {result.error}", "look at its log")
    finally:
        http.close()
