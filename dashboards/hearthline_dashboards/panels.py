"""The kinds of panel that the dashboards are made of, and a dashboard out of them.

Each function gives a builder with what all panels of its kind share; the caller adds what is its own. Colours never
stand alone: thresholds colour a number that is read anyway, states have words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hearthline_dashboards.influxql import DATASOURCE, REF_IDS, Query
from hearthline_dashboards.kinds import (
    Builder,
    Dataquery,
    bargauge,
    common,
    common_model,
    dashboard,
    model,
    prometheus,
    stat,
    statetimeline,
    table,
    text,
    text_model,
    timeseries,
)

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
TAG = "hearthline"
WIDTH = 24
GREEN, AMBER, RED, BLUE, GREY = "green", "orange", "red", "blue", "text"
_RECENT = "30m"  # of what is written every minute to every 5 minutes: older than that is unknown, not still so

INFLUXDB = common_model.DataSourceRef(type_val="influxdb", uid=DATASOURCE)
Target = Query | prometheus.Dataquery
PanelBuilder = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel | bargauge.Panel | text.Panel


@dataclass(frozen=True, slots=True)
class Setting:
    """What a set is built for. `zone`: whose days count; `console`: where the center's console is, without a slash."""

    language: Language = "zh"
    zone: str = "Asia/Shanghai"
    console: str = "http://127.0.0.1:8080"

    def say(self, zh: str, en: str) -> str:
        return zh if self.language == "zh" else en

    @property
    def folder(self) -> str:
        return self.say("Hearthline 居家守护", "Hearthline")

    def uid(self, board: str) -> str:
        return f"{TAG}-{board}-{self.language}"


@dataclass
class Board:
    """One dashboard: panels flow from left to right, row after row. `quiet`: panels that may rightly be empty."""

    name: str
    setting: Setting
    title: str
    description: str
    since: str  # the range that it opens with
    variables: list[model.VariableModel]
    refresh: str = "1m"
    panels: list[model.Panel] = field(default_factory=list)
    quiet: set[int] = field(default_factory=set)
    links: list[model.DashboardLink] = field(default_factory=list)
    _x: int = 0
    _y: int = 0
    _height: int = 0

    def row(self, title: str) -> None:
        """A heading over what follows."""
        self._break()
        self._place(text.Panel().content(f"### {title}").mode(text_model.TextMode.MARKDOWN).transparent(True), WIDTH, 2)

    def add(self, panel: PanelBuilder, width: int, height: int, *, may_be_empty: bool = False) -> None:
        made = self._place(panel, width, height)
        if may_be_empty:
            self.quiet.add(made)

    def build(self) -> model.Dashboard:
        return model.Dashboard(
            uid=self.setting.uid(self.name),
            title=self.title,
            description=self.description,
            tags=[TAG, f"{TAG}-{self.setting.language}"],
            timezone=self.setting.zone,
            editable=True,
            graph_tooltip=model.DashboardCursorSync.CROSSHAIR,
            time=model.DashboardDashboardTime(self.since, "now"),
            week_start="monday",
            refresh=self.refresh,
            panels=list(self.panels),
            templating=model.DashboardDashboardTemplating(self.variables),
            annotations=model.AnnotationContainer([_alerts(self.setting)]),
            links=[*_links(self.setting), *self.links],
        )

    def _place(self, panel: PanelBuilder, width: int, height: int) -> int:
        if self._x + width > WIDTH:
            self._break()
        number = len(self.panels) + 1
        made = panel.id(number).grid_pos(model.GridPos(h=height, w=width, x=self._x, y=self._y)).build()
        self.panels.append(made)
        self._x += width
        self._height = max(self._height, height)
        return number

    def _break(self) -> None:
        self._x, self._y, self._height = 0, self._y + self._height, 0


@dataclass(slots=True)
class _Tagged(Dataquery):
    """Grafana's own annotations that carry all these tags: what `hearthline dashboards annotate` has pushed."""

    tags: list[str]

    def to_json(self) -> dict[str, object]:
        return {"type": "tags", "matchAny": False, "limit": 200, "tags": self.tags}


def _alerts(setting: Setting) -> model.AnnotationQuery:
    return model.AnnotationQuery(
        name=setting.say("警报", "Alerts"),
        datasource=common_model.DataSourceRef(type_val="grafana", uid="-- Grafana --"),
        icon_color=RED,
        target=_Tagged([TAG, "alert", setting.language]),
    )


def _links(setting: Setting) -> list[model.DashboardLink]:
    return [
        model.DashboardLink(
            title=setting.say("其他看板", "Other dashboards"),
            type_val=model.DashboardLinkType.DASHBOARDS,
            tags=[f"{TAG}-{setting.language}"],
            as_dropdown=True,
            include_vars=True,
            keep_time=True,
        ),
        link(setting.say("值守台", "Console"), f"{setting.console}/"),
    ]


def link(title: str, url: str) -> model.DashboardLink:
    kind = model.DashboardLinkType.LINK
    return model.DashboardLink(title=title, type_val=kind, icon="external link", url=url, target_blank=True)


# --- variables ----------------------------------------------------------------------------------------------------


def datasource_variable(kind: str = "influxdb", uid: str = f"{TAG}-influxdb") -> model.VariableModel:
    """Which data source of its kind; the provisioned one at first."""
    return model.VariableModel(
        type_val=model.VariableType.DATASOURCE,
        name="datasource",
        label="Data source",
        query=kind,
        current=model.VariableOption(text=f"Hearthline {kind}", value=uid),
        hide=model.VariableHide.HIDE_VARIABLE,
    )


def tag_variable(setting: Setting, tag: str, *within: str, many: bool = True, start: str = "") -> model.VariableModel:
    """The values of a tag, of what the variables `within` have chosen. `many`: several or all, else one."""
    label = {
        "community": setting.say("社区", "Community"),
        "home": setting.say("住户", "Home"),
        "device": setting.say("设备", "Device"),
        "gateway": setting.say("网关", "Gateway"),
        "resident": setting.say("老人编号", "Resident"),
    }[tag]
    origin = {"resident": ' FROM "systolic"', "device": ""}.get(tag, ' FROM "gateway_online"')
    chosen = " AND ".join(f'"{name}" =~ /^(${{{name}:regex}})$/' for name in within)
    query = f'SHOW TAG VALUES{origin} WITH KEY = "{tag}"{f" WHERE {chosen}" if chosen else ""}'
    everything = model.VariableOption(selected=True, text=["All"], value=["$__all"])
    return model.VariableModel(
        type_val=model.VariableType.QUERY,
        name=tag,
        label=label,
        query=query,
        definition=query,
        datasource=INFLUXDB,
        current=everything if many else model.VariableOption(selected=True, text=start, value=start),
        multi=many,
        include_all=many,
        all_value=".*" if many else None,
        refresh=model.VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=model.VariableSort.NATURAL_ASC,
    )


# --- panels -------------------------------------------------------------------------------------------------------

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
