"""A dashboard out of panels: where each lies, which variables choose, which links lead on.

Panels flow from left to right, row after row, and are numbered in that order: the same code gives the same JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hearthline_dashboards.influxql import DATASOURCE
from hearthline_dashboards.kinds import (
    Dataquery,
    bargauge,
    common_model,
    model,
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

INFLUXDB = common_model.DataSourceRef(type_val="influxdb", uid=DATASOURCE)
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
        icon_color="red",
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
