"""What InfluxDB 2.x, 3.x and Cloud have of their own: `/api/v2/write` by influxdb-client, buckets, summaries by us.

influxdb-client is given bytes and asked for each answer: its Points are slow, and its batching drops what is refused or
late with a line in the log (docs/decisions). Buckets have the names under which InfluxQL finds them: `hearthline`,
`hearthline/quarter`, `hearthline/daily`. 3.x has databases of these names instead, which its administrator makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from typing import Final
from urllib.parse import unquote

import urllib3
from influxdb_client import InfluxDBClient
from influxdb_client.domain.bucket import Bucket
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.rest import ApiException
from influxdb_client.service.write_service import WriteService

from hearthline.config import read_secret
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store.influx_http import InfluxHttp, error_text
from hearthline_cloud.store.influx_text import line_head, summarise, summary_line, summary_rows
from hearthline_cloud.store.influx_writing import Answer
from hearthline_cloud.store.port import Keeping, StoreState, in_words, is_longer
from hearthline_cloud.store.tiers import Span, Tier, windows_of

_LINES_AT_ONCE: Final = 5000
_DAY_S: Final = 86_400
_ROLL_UP_S: Final = 300.0
_STORED: Final = (200, 201, 202, 204)


class InfluxV2:
    """The dialect of 2.x and later."""

    def __init__(self, config: StoreConfig, http: InfluxHttp) -> None:
        """Raises ConfigError for a lost secret."""
        self._http = http
        self._org = config.org
        token = read_secret(config.token_file, "store.token_file") or ""
        timeout_ms = round(config.timeout_s * 1000)
        self._client = InfluxDBClient(http.url, token, timeout=timeout_ms, org=config.org, retries=False)
        self._writes = WriteService(self._client.api_client)

    def write(self, lines: bytes, tier: Tier = Tier.RAW) -> Answer:
        try:
            _, status, _ = self._writes.post_write_with_http_info(
                self._org, self._bucket(tier), lines, precision="ns", content_type="text/plain; charset=utf-8"
            )
        except ApiException as error:
            return Answer(error.status or 0, error_text((error.body or "").encode()))
        except urllib3.exceptions.NewConnectionError as error:  # a kind of time-out to urllib3
            raise self._http.away(error) from None
        except urllib3.exceptions.TimeoutError:
            raise self._http.slow() from None
        except urllib3.exceptions.HTTPError as error:
            raise self._http.away(error) from None
        return Answer(204 if status in _STORED else status, "")

    def check(self) -> None:
        answer = self.write(b"")
        if answer.status not in (204, 400):  # 400: it would have taken points, had there been any
            raise self._http.refused(answer.status, answer.text)

    def roll_up(self, measurement: str, tier: Tier, span: Span, gateway: str | None) -> str:
        """Read the summaries and write them into their bucket; what is wrong, "" when nothing is."""
        lines: list[str] = []
        at_ns = None if windows_of(tier, span) else span[0]
        for result in self._http.chunks(summarise(measurement, tier, span, gateway), _ROLL_UP_S):
            if result.error:
                return result.error
            for series in result.series:
                rows = summary_rows(series, at_ns)
                lines += [summary_line(line_head((unquote(measurement), *astuple(row.tags))), row) for row in rows]
            if len(lines) >= _LINES_AT_ONCE and (problem := self._put(lines, tier)):
                return problem
        return self._put(lines, tier)

    def _put(self, lines: list[str], tier: Tier) -> str:
        """Write summaries, and empty the list; what is wrong with them, "" when nothing is."""
        answer = self.write("\n".join(lines).encode(), tier) if lines else Answer(204, "")
        lines.clear()
        if answer.status in (400, 422):
            return answer.text
        if answer.status != 204:
            raise self._http.refused(answer.status, answer.text)
        return ""

    def source(self, tier: Tier) -> dict[str, str]:
        """The fields of a query that reads this tier."""
        return {} if tier is Tier.RAW else {"rp": tier.value}

    def keep(self, keeping: Keeping, shorten: bool) -> list[str]:
        changed: list[str] = []
        with self._asking():
            buckets = self._client.buckets_api()
            for tier, days in self._wanted(keeping).items():
                name = self._bucket(tier)
                rules = BucketRetentionRules(type="expire", every_seconds=days * _DAY_S)
                found = buckets.find_bucket_by_name(name)
                if found is None:
                    buckets.create_bucket(bucket_name=name, retention_rules=rules, org=self._org)
                    changed.append(f"bucket {name} made, for {in_words(days)}")
                    continue
                has = _days_of(found)
                if has != days and (shorten or is_longer(days, has)):
                    found.retention_rules = [rules]
                    buckets.update_bucket(found)
                    changed.append(f"bucket {name} from {in_words(has)} to {in_words(days)}")
        return changed

    def state(self) -> StoreState:
        days = {}
        with self._asking():
            buckets = self._client.buckets_api()
            for tier in Tier:
                found = buckets.find_bucket_by_name(self._bucket(tier))
                if found is not None:
                    days[tier.value] = _days_of(found)
            version = self._client.version()
        return StoreState(f"InfluxDB {version}", f"{self._http.url}, bucket {self._http.database}", days)

    def _wanted(self, keeping: Keeping) -> dict[Tier, int]:
        return {
            Tier.RAW: keeping.raw_days,
            Tier.QUARTER: keeping.quarter_days,
            Tier.DAILY: keeping.daily_days,
        }

    def _bucket(self, tier: Tier) -> str:
        return self._http.database if tier is Tier.RAW else f"{self._http.database}/{tier}"

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """The client's errors as LinkError."""
        try:
            yield
        except ApiException as error:
            if error.status == 404:
                names = ", ".join(self._bucket(tier) for tier in Tier)
                advice = f"let its administrator make the databases {names}"
                raise self._http.trouble("knows no buckets (3.x has databases)", advice) from None
            raise self._http.refused(error.status or 0, error_text((error.body or "").encode())) from None
        except urllib3.exceptions.HTTPError as error:
            raise self._http.away(error) from None


def _days_of(bucket: Bucket) -> float:
    return float(sum(rule.every_seconds for rule in bucket.retention_rules or ()) / _DAY_S)
