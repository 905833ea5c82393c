"""The form of a gateway's configuration: some fields of one line, and TOML for ports and outputs, as in edge.toml.

A field that is left empty is not the center's: the gateway's own file says it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hearthline.errors import RefusedError
from hearthline.toml_text import to_toml

LEVELS = ("debug", "info", "warning", "error")
# key -> (least, greatest, step) of `hearthline.remote`
NUMBERS: dict[str, tuple[float, float, float]] = {
    "local_alarm_after_s": (0, 60, 0.5),
    "cancel_window_s": (0, 60, 0.5),
    "status_period_s": (1, 30, 1),
    "gather_s": (0, 60, 0.5),
    "telemetry_max_mb": (1, 1024, 1),
}
MAX_TEXT = 8000


@dataclass(frozen=True, slots=True)
class Form:
    """What stands in the fields, by key; `tables` is the text of the others."""

    fields: Mapping[str, str]
    tables: str


def form_of(config: dict[str, Any]) -> Form:
    fields = {key: f"{config[key]:g}" for key in NUMBERS if key in config}
    if "log_level" in config:
        fields["log_level"] = str(config["log_level"])
    tables = {key: value for key, value in config.items() if key not in fields}
    return Form(fields, to_toml(tables).strip() if tables else "")


def config_of(form: Form) -> dict[str, Any]:
    """Raises RefusedError for what is no number or no TOML; what may be changed, `hearthline.remote` says."""
    try:
        config = tomllib.loads(form.tables.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"TOML: {error}") from None
    for key, typed in form.fields.items():
        if not typed.strip():
            continue
        if key in config:
            raise RefusedError(f"{key}: give it once, in its field or in the text")
        config[key] = _number(key, typed) if key in NUMBERS else typed.strip()
    return config


def _number(key: str, typed: str) -> int | float:
    try:
        number = float(typed)
    except ValueError:
        raise RefusedError(f"{key} must be a number") from None
    return int(number) if number.is_integer() else number
