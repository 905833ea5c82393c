"""The kinds of panel that the dashboards are made of.

Each function gives a builder with what all panels of its kind share; the caller adds what is its own. Colours never
stand alone: thresholds colour a number that is read anyway, states have words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hearthline_dashboards.board import INFLUXDB
from hearthline_dashboards.influxql import REF_IDS, Query
from hearthline_dashboards.kinds import (
    Builder,
    Dataquery,
    common,
    common_model,
    dashboard,
    model,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)

GREEN, AMBER, RED, BLUE, GREY = "green", "orange", "red", "blue", "text"
_RECENT = "30m"  # of what is written every minute to every 5 minutes: older than that is unknown, not still so

Target = Query | prometheus.Dataquery
Steps = Sequence[tuple[float | None, str]]
AnyMap = model.ValueMap | model.RangeMap | model.RegexMap | model.SpecialValueMap


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value, color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def _targets(queries: Sequence[Target]) -> list[Builder[Dataquery]]:
    made: list[Builder[Dataquery]] = []
    for place, query in enumerate(queries):
        if isinstance(query, Query):
            query.ref_id = REF_IDS[place]
            made.append(query)
        else:
            made.append(query.ref_id(REF_IDS[place]))
    return made


def number(
    title: str,
    *queries: Target,
    unit: str = "short",
    steps: Steps = ((None, GREY),),
    recent: str | None = _RECENT,
    source: common_model.DataSourceRef = INFLUXDB,
) -> stat.Panel:
    """The last value, large. `recent`: how far back it looks, whatever range is chosen; None: the chosen range."""
    panel = (
        stat.Panel()
        .title(title)
        .datasource(source)
        .targets(_targets(queries))
        .unit(unit)
        .thresholds(_thresholds(steps))
        .color_mode(common_model.BigValueColorMode.VALUE)
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )
    return panel if recent is None else panel.time_from(recent).hide_time_override(True)


def lines(
    title: str,
    *queries: Target,
    unit: str = "short",
    steps: Steps = (),
    interval: str = "15m",
    least: float | None = None,
    source: common_model.DataSourceRef = INFLUXDB,
) -> timeseries.Panel:
    """Curves over the chosen range, not finer than `interval`. `steps`: drawn as lines across."""
    panel = (
        timeseries.Panel()
        .title(title)
        .datasource(source)
        .targets(_targets(queries))
        .unit(unit)
        .interval(interval)
        .line_width(1)
        .show_points(common_model.VisibilityMode.AUTO)
        .tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI))
    )
    if least is not None:
        panel = panel.min(least)
    if steps:
        style = common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_thresholds(((None, "transparent"), *steps))).thresholds_style(style)
    return panel


def bars(
    title: str, *queries: Query, unit: str = "short", interval: str = "1d", stacked: bool = False
) -> timeseries.Panel:
    """A bar for each window of `interval`."""
    panel = lines(title, *queries, unit=unit, interval=interval, least=0)
    panel = panel.draw_style(common_model.GraphDrawStyle.BARS).fill_opacity(60)
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL))
    return panel


def states(title: str, *queries: Query, words: Mapping[str, tuple[str, str]]) -> statetimeline.Panel:
    """What was so when: `words` gives each value its text and colour."""
    return (
        statetimeline.Panel()
        .title(title)
        .datasource(INFLUXDB)
        .targets(_targets(queries))
        .mappings([_words(words)])
        .interval("15m")
        .merge_values(True)
        .show_value(common_model.VisibilityMode.AUTO)
    )


def rows(
    title: str,
    *queries: Query,
    names: Mapping[str, str],
    hidden: Sequence[str] = ("Time",),
    sort: tuple[str, bool] | None = None,
) -> table.Panel:
    """A table of all its queries' rows, joined on what they share. `names`: column -> its heading, in this order."""
    order = {column: place for place, column in enumerate(names)}
    options = {"excludeByName": dict.fromkeys(hidden, True), "indexByName": order, "renameByName": dict(names)}
    panel = table.Panel().title(title).datasource(INFLUXDB).targets(_targets(queries))
    if len(queries) > 1:
        panel = panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))
    if sort is not None:
        column, falling = sort
        panel = panel.sort_by([common.TableSortByFieldState().display_name(names[column]).desc(falling)])
    return panel


def shown(panel: table.Panel, column: str, **properties: object) -> table.Panel:
    """Give one column, by what it is called, properties of its own: unit, mappings, links, thresholds …"""
    values = [model.DynamicConfigValue(name, value) for name, value in properties.items()]
    return panel.override_by_name(column, values)


def _words(words: Mapping[str, tuple[str, str]]) -> model.ValueMap:
    results = {
        value: model.ValueMappingResult(text=said, color=color, index=place)
        for place, (value, (said, color)) in enumerate(words.items())
    }
    return model.ValueMap(options=results)


def words_of(words: Mapping[str, tuple[str, str]]) -> list[AnyMap]:
    """The same as a column's property."""
    return [_words(words)]
