"""What can be wrong with a text of policies: a closed list, so that the console can say it in the reader's language."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Wrong(StrEnum):
    TOO_LONG = "too-long"
    SYNTAX = "syntax"
    NO_TABLE = "no-table"
    NO_TABLES = "no-tables"
    UNKNOWN_KEY = "unknown-key"
    MISSING_KEY = "missing-key"
    TYPE = "type"
    NO_STEP = "no-step"
    SECONDS = "seconds"
    NOT_LATER = "not-later"
    NO_TARGET = "no-target"
    UNKNOWN_TARGET = "unknown-target"
    UNKNOWN_POLICY = "unknown-policy"
    UNKNOWN_SCHEDULE = "unknown-schedule"
    UNREACHED = "unreached"
    NO_QUIET = "no-quiet"
    ZONE = "zone"
    OFFSET = "offset"
    NOT_ONE_OF = "not-one-of"
    EMPTY_SCHEDULE = "empty-schedule"
    NO_STAFF = "no-staff"


_WORDS = {
    Wrong.TOO_LONG: "longer than {most} characters",
    Wrong.SYNTAX: "not valid TOML: {detail}",
    Wrong.NO_TABLE: "must be a table",
    Wrong.NO_TABLES: "must be a list of tables",
    Wrong.UNKNOWN_KEY: "unknown key; there are: {known}",
    Wrong.MISSING_KEY: "missing key `{name}`",
    Wrong.TYPE: "{detail}",
    Wrong.NO_STEP: "a policy has one step at least",
    Wrong.SECONDS: "{value}: must be {least} to {most} seconds",
    Wrong.NOT_LATER: "{value}: each step comes later than the one before it",
    Wrong.NO_TARGET: "a step tells somebody",
    Wrong.UNKNOWN_TARGET: "{word!r} is none of {known}",
    Wrong.UNKNOWN_POLICY: "{name!r}: there is no such policy",
    Wrong.UNKNOWN_SCHEDULE: "{name!r}: there is no such schedule",
    Wrong.UNREACHED: "no [[channel]] of cloud.toml reaches {word!r}",
    Wrong.NO_QUIET: "the quiet hours end when they begin",
    Wrong.ZONE: "{name!r}: there is no such time zone on this machine",
    Wrong.OFFSET: "a local time of the day, without an offset",
    Wrong.NOT_ONE_OF: "{value!r}: there are: {known}",
    Wrong.EMPTY_SCHEDULE: "a schedule has one shift or one rotation at least",
    Wrong.NO_STAFF: "somebody has the duty",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where. `key` is empty for the text as a whole; `facts` fills the words in any language."""

    line: int
    key: str
    wrong: Wrong
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return _WORDS[self.wrong].format(**self.facts)

    def as_row(self) -> dict[str, int | str]:
        return {"line": self.line, "key": self.key, "message": self.message}

    def __str__(self) -> str:
        return f"{self.line}: {self.key}: {self.message}" if self.key else f"{self.line}: {self.message}"
