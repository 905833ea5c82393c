"""What is written as TOML is read back as it was, by the standard library's own reader."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearthline.toml_text import to_toml

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first text of a machine makes a table of Unicode
@given(st.dictionaries(TEXT, VALUES, max_size=6))
def test_whatever_is_written_is_read_back(tree: dict[str, Any]) -> None:
    assert tomllib.loads(to_toml(tree, "a note\nof two lines")) == tree


def test_it_reads_as_people_write_it() -> None:
    tree = {"device": [{"id": "z2m:床头", "buttons": {"*": "emergency"}}], "log_level": "info", "metrics": {"port": 1}}
    assert to_toml(tree, "Kept by the agent.") == (
        "# Kept by the agent.\n"
        'log_level = "info"\n\n[metrics]\nport = 1\n\n[[device]]\n'
        'id = "z2m:床头"\nbuttons = { "*" = "emergency" }\n'
    )


def test_none_is_refused() -> None:
    with pytest.raises(ValueError, match="NoneType"):
        to_toml({"key": None})
