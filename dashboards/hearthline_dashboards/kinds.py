"""Grafana's published kinds, as its SDK has them: the one place that imports it.

The classic dashboard model, which files and `/api/dashboards/db` take. The SDK advises against it for the sake of its
second model, which needs Grafana 12: hence the warning that is not listened to.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import (
        bargauge,
        common,
        dashboard,
        prometheus,
        stat,
        statetimeline,
        table,
        text,
        timeseries,
    )
    from grafana_foundation_sdk.cog.builder import Builder
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.variants import Dataquery
    from grafana_foundation_sdk.models import common as common_model
    from grafana_foundation_sdk.models import dashboard as model
    from grafana_foundation_sdk.models import text as text_model

__all__ = [
    "Builder",
    "Dataquery",
    "JSONEncoder",
    "bargauge",
    "common",
    "common_model",
    "dashboard",
    "model",
    "prometheus",
    "stat",
    "statetimeline",
    "table",
    "text",
    "text_model",
    "timeseries",
]
