"""What the commands in the home say has the same places for values in Chinese and in English."""

from __future__ import annotations

import string

import pytest

from hearthline.speech import Speech
from hearthline_edge import control_client, doctor_texts, enrolling_texts, fault_advice, updating_texts

TABLES = [control_client.TEXTS, doctor_texts.TEXTS, enrolling_texts.TEXTS, fault_advice.TEXTS, updating_texts.TEXTS]


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("table", TABLES, ids=["control", "doctor", "enrolling", "faults", "updating"])
def test_both_languages_name_the_same_values(table: Speech) -> None:
    assert {key: places(chinese) for key, (chinese, _) in table.texts.items()} == {
        key: places(english) for key, (_, english) in table.texts.items()
    }


def test_the_doctor_speaks_the_terminals_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert doctor_texts.say("clock") == "时钟已同步。"
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert doctor_texts.say("clock") == "the clock is synchronised."
