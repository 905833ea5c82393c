"""The terminal's language, and texts that exist in both."""

from __future__ import annotations

import pytest

from hearthline.speech import CHOSEN, Speech, language


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "zh_TW"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", CHOSEN: "en"}, "en"),
    ],
)
def test_the_terminal_says_its_language(environment: dict[str, str], expected: str) -> None:
    assert language(environment) == expected


def test_a_text_is_said_in_that_language(monkeypatch: pytest.MonkeyPatch) -> None:
    speech = Speech({"pressed": ("{room}按了一次", "pressed in the {room}")})
    monkeypatch.setenv(CHOSEN, "zh")
    assert speech.say("pressed", room="卧室") == "卧室按了一次"
    monkeypatch.setenv(CHOSEN, "en")
    assert speech.say("pressed", room="bedroom") == "pressed in the bedroom"


def test_a_text_that_lacks_a_language_stops_the_start() -> None:
    with pytest.raises(ValueError, match="'pressed'"):
        Speech({"pressed": ("", "pressed")})
