"""What an InfluxDB 1.x has of its own: `/write`, databases with retention policies, summaries made by itself.

The default retention policy, `autogen`, holds raw values; `quarter` and `daily` have their tiers' names. Raw values
lie in shards of a week, so that a span of 90 days is 14 of them, and go a week at a time.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from hearthline_cloud.store.influx_http import InfluxHttp, error_text
from hearthline_cloud.store.influx_text import create_database, identifier, summarise
from hearthline_cloud.store.influx_writing import Answer
from hearthline_cloud.store.port import Keeping, StoreState, in_words, is_longer
from hearthline_cloud.store.tiers import Span, Tier

RAW_POLICY: Final = "autogen"
_SIGNATURE: Final = "X-Influxdb-Version"
_SHARDS: Final = {Tier.RAW: "7d", Tier.QUARTER: "28d", Tier.DAILY: "364d"}
_ROLL_UP_S: Final = 300.0
_DURATION: Final = re.compile(r"(\d+)(h|m|s)")
_SECONDS: Final = {"h": 3600, "m": 60, "s": 1}
_DAY_S: Final = 86_400


class InfluxV1:
    """The dialect of 1.x. The database is made, tiers and all, when a write finds none."""

    def __init__(self, http: InfluxHttp, keeping: Keeping) -> None:
        self._http = http
        self._keeping = keeping
        self._write_url = f"{http.url}/write?{urlencode({'db': http.database, 'precision': 'ns'})}"

    def write(self, lines: bytes, tier: Tier = Tier.RAW) -> Answer:
        url = self._write_url if tier is Tier.RAW else f"{self._write_url}&rp={tier}"
        answer = self._http.post(url, lines)
        if answer.status == 404:
            self.keep(self._keeping, shorten=False)
            answer = self._http.post(url, lines)
        if answer.status in (204, 400) and _SIGNATURE not in answer.headers:
            raise self._http.wrong_answer(answer)  # a proxy's or a stranger's word about points is worth nothing
        return Answer(answer.status, "" if answer.status == 204 else error_text(answer.data))

    def check(self) -> None:
        answer = self.write(b"")  # an empty write passes its login, the database and the right to write
        if answer.status != 204:
            raise self._http.refused(answer.status, answer.text)

    def roll_up(self, measurement: str, tier: Tier, span: Span, gateway: str | None) -> str:
        """InfluxDB does it by itself; what it says is wrong, "" when nothing is."""
        text = summarise(measurement, tier, span, gateway, into=self._http.database)
        result = self._http.query(text, _ROLL_UP_S)
        if "not found" in result.error:
            raise self._http.trouble(f"could not summarise: {result.error}", "run hearthline cloud store migrate")
        return result.error

    def source(self, tier: Tier) -> dict[str, str]:
        """The fields of a query that reads this tier."""
        return {} if tier is Tier.RAW else {"rp": tier.value}

    def keep(self, keeping: Keeping, shorten: bool) -> list[str]:
        policies = self._policies()
        changed: list[str] = []
        if policies is None:
            self._do(f"{create_database(self._http.database)} WITH {_kept(keeping.raw_days, Tier.RAW, RAW_POLICY)}")
            changed.append(f"database {self._http.database} made, raw values for {in_words(keeping.raw_days)}")
            policies = {RAW_POLICY: float(keeping.raw_days)}
        for tier, name in ((Tier.RAW, RAW_POLICY), (Tier.QUARTER, "quarter"), (Tier.DAILY, "daily")):
            days = {Tier.RAW: keeping.raw_days, Tier.QUARTER: keeping.quarter_days}.get(tier, keeping.daily_days)
            has = policies.get(name)
            policy = f"RETENTION POLICY {identifier(name)} ON {identifier(self._http.database)}"
            if has is None:
                self._do(f"CREATE {policy} {_kept(days, tier)}")
                changed.append(f"retention policy {name} made, for {in_words(days)}")
            elif has != days and (shorten or is_longer(days, has)):
                self._do(f"ALTER {policy} {_kept(days, tier).replace('REPLICATION 1 ', '')}")
                changed.append(f"retention policy {name} from {in_words(has)} to {in_words(days)}")
        return changed

    def state(self) -> StoreState:
        database = identifier(self._http.database)
        policies = self._policies() or {}
        days = {("raw" if name == RAW_POLICY else name): kept for name, kept in policies.items()}
        version = self._http.post(f"{self._http.url}/ping", b"").headers.get(_SIGNATURE, "of an unknown version")
        counted = self._http.query(f"SHOW SERIES CARDINALITY ON {database}")
        series = next((int(row[0] or 0) for each in counted.series for row in each.values), 0)
        return StoreState(f"InfluxDB {version}", f"{self._http.url}, database {self._http.database}", days, series)

    def _policies(self) -> dict[str, float] | None:
        """The retention policies and for how many days each keeps (0: for ever); None without the database."""
        result = self._http.query(f"SHOW RETENTION POLICIES ON {identifier(self._http.database)}")
        if result.error.startswith("database not found"):
            return None
        if result.error:
            raise self._http.trouble(f"could not say what it keeps: {result.error}", "look at its log")
        return {str(row[0]): _days(str(row[1])) for series in result.series for row in series.values}

    def _do(self, text: str) -> None:
        result = self._http.query(text)
        if result.error:
            raise self._http.trouble(f"refused: {result.error}", f"let its administrator do it: {text}")


def _kept(days: float, tier: Tier, name: str = "") -> str:
    named = f" NAME {identifier(name)}" if name else ""
    return f"DURATION {f'{days:g}d' if days else 'INF'} REPLICATION 1 SHARD DURATION {_SHARDS[tier]}{named}"


def _days(duration: str) -> float:
    """Of InfluxDB's `2160h0m0s`."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(duration)) / _DAY_S
