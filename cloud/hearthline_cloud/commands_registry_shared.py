"""What the registry's commands share: options, prompts, how an entry is printed."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from hearthline.speech import language
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.commands_center import say
from hearthline_cloud.commands_registry_texts import SPEECH
from hearthline_cloud.registry.shape import Field, Kind, Values
from hearthline_cloud.registry.texts import kind_word

Given = dict[str, Any]
Run = Callable[..., Any]
ConfigOption = Annotated[Path, typer.Option("--config", help=SPEECH.say("option.config"), metavar="FILE")]
JsonOption = Annotated[bool, typer.Option("--json", help=SPEECH.say("option.json"))]


def command(app: typer.Typer, name: str, help_: str, parameters: Sequence[inspect.Parameter], run: Run) -> None:
    """A command whose options come from a table. `run` gets them by name, and always `config` and `as_json`."""
    whole = [*parameters, option("config", Path, DEFAULT_CONFIG, "option.config", metavar="FILE"), *_JSON]

    def call(**given: Any) -> Any:
        return run(**given)

    call.__signature__ = inspect.Signature(whole)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in whole}
    app.command(name, help=help_)(call)


def option(name: str, shape: Any, default: Any, key: str, **how: Any) -> inspect.Parameter:
    """`--name`, explained by the text `key`."""
    declared = f"--{name.replace('_', '-')}"
    return _parameter(name, default, Annotated[shape, typer.Option(declared, help=SPEECH.say(key), **how)])


def flag(name: str) -> inspect.Parameter:
    return option(name, bool, False, f"option.{name.replace('_', '-')}")


def field_option(field: Field) -> inspect.Parameter:
    declared = f"--{field.name.replace('_', '-')}"
    said = typer.Option(declared, help=heading(field), metavar=field.name.upper())
    return _parameter(field.name, None, Annotated[str | None, said])


def argument(name: str, help_: str, *, needed: bool = True) -> inspect.Parameter:
    said = typer.Argument(help=help_, metavar=name.upper())
    if needed:
        return _parameter(name, inspect.Parameter.empty, Annotated[str, said])
    return _parameter(name, None, Annotated[str | None, said])


def files() -> inspect.Parameter:
    said = typer.Argument(help=SPEECH.say("argument.file"), metavar="FILE")
    return _parameter("file", None, Annotated[list[Path] | None, said])


def _parameter(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_JSON = [_parameter("as_json", False, Annotated[bool, typer.Option("--json", help=SPEECH.say("option.json"))])]


def heading(field: Field) -> str:
    """What a field is called in the terminal's language."""
    return field.heading if language() == "zh" else field.name.replace("_", " ")


def is_terminal() -> bool:
    return sys.stdin.isatty()


def asked_for(fields: Iterable[Field], given: Given) -> Given:
    """What was given, and what a person in a terminal answers: for what is needed, or for all if nothing was given."""
    if not is_terminal():
        return given
    is_bare = not given
    answers = dict(given)
    for field in fields:
        if field.name not in given and (field.needed or is_bare):
            key = "needed" if field.needed else "optional"
            answer = typer.prompt(SPEECH.say(key, heading=heading(field)), default="" if not field.needed else None,
                                  show_default=False)  # fmt: skip
            if answer:
                answers[field.name] = answer
    return answers


def done(what: str, kind: Kind, id_: str, as_json: bool) -> None:
    say({"kind": kind, "id": id_, "done": what}, as_json, SPEECH.say(f"done.{what}", what=kind_word(kind), id=id_))


def lines(fields: Iterable[Field], entries: Sequence[Values]) -> str:
    """One entry a line, its values in the order of the fields."""
    names = [field.name for field in fields]
    told = ["  ".join(_text(each.get(name)) for name in names if each.get(name) not in ("", None)) for each in entries]
    return "\n".join(told) or SPEECH.say("none")


def card(fields: Iterable[Field], entry: Values) -> str:
    return "\n".join(f"{heading(field)}: {_text(entry[field.name])}" for field in fields)


def _text(value: object) -> str:
    return "" if value is None else str(value).replace("\n", " / ")
