"""Every sample that there is of a query, in bounded memory: page after page, by time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from hearthline_cloud.store.port import Sample, SeriesQuery


class Readable(Protocol):
    def read(self, query: SeriesQuery) -> list[Sample]: ...


def every_sample(store: Readable, query: SeriesQuery) -> Iterator[Sample]:
    """What `query` asks for, oldest first, without its limit, which is the size of a page. Raises LinkError.

    A page may end between series that measured at one moment: that moment is read again with the next page.
    """
    while True:
        page = store.read(query)
        if len(page) < query.limit:
            yield from page
            return
        last_ns = page[-1].time_ns
        if page[0].time_ns == last_ns:  # more at one moment than a page holds
            query = replace(query, limit=2 * query.limit)
            continue
        yield from (sample for sample in page if sample.time_ns < last_ns)
        query = replace(query, from_ns=last_ns)
