"""`hearthline`: finds the commands of the installed rooms through entry points.

A command that two rooms share is two entry points, `device.center` and `device.home`: what people type is the word
before the dot. Where both have the same subcommand on one machine, the center's is meant if `--gateway` is given.
Exit codes: 0 done, 1 failed, 2 wrong use or configuration, 3 part not installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hearthline import __version__
from hearthline.errors import HearthlineError, NotInstalledError
from hearthline.speech import CHOSEN, LANGUAGES
from hearthline.usage_texts import TEXTS, mistake

_EXTRAS = {"hearthline_edge": "edge,cli", "hearthline_cloud": "cloud"}
_CENTER, _HOME = "center", "home"
_OF_THE_CENTER = "--gateway"


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Dispatch `hearthline [--lang zh|en] COMMAND …`; returns the exit code."""
    commands: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group="hearthline.commands"):
        commands.setdefault(entry.name.partition(".")[0], []).append(entry)
    if arguments[:1] == ["--lang"]:
        if arguments[1:2] not in [[each] for each in LANGUAGES]:
            return _fail(TEXTS.say("bad-lang", languages=", ".join(LANGUAGES)), 2)
        os.environ[CHOSEN] = arguments[1]
        arguments = arguments[2:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage(commands))  # noqa: T201
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"hearthline {__version__}")  # noqa: T201
        return 0
    name, *rest = arguments
    if name not in commands:
        return _fail(TEXTS.say("unknown", name=name, names=", ".join(sorted(commands))), 2)
    try:
        return _call(name, commands[name], rest)
    except HearthlineError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:  # before a command has begun: on a small board that takes seconds
        return 1
    except BrokenPipeError:  # whoever reads what we print has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _call(name: str, entries: list[EntryPoint], arguments: list[str]) -> int:
    parts: dict[str, Any] = {}
    absent: NotInstalledError | None = None
    for entry in entries:
        try:
            parts[entry.name.partition(".")[2]] = _load(entry)
        except NotInstalledError as error:
            absent = error
    if absent is not None and (not parts or _is_missing(arguments, parts)):
        raise absent
    import typer

    # typer brings a click of its own or uses the installed one; its public error has the base class of either
    click_errors: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
    try:
        result = _merged(parts, arguments).main(arguments, prog_name=f"hearthline {name}", standalone_mode=False)
    except typer.Abort:
        return 1
    except click_errors as error:
        _show(error)
        return 2
    return result if isinstance(result, int) else 0


def _show(error: Any) -> None:
    """What is wrong with the command line."""
    context = getattr(error, "ctx", None)
    usage, command = ("", "") if context is None else (context.get_usage(), context.command_path)
    told = mistake(error.format_message(), usage, command)
    if told is None or type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        print(told, file=sys.stderr)  # noqa: T201


def _load(entry: EntryPoint) -> Any:
    try:
        import typer

        return typer.main.get_command(entry.load())
    except ModuleNotFoundError as error:
        # a whole room may be absent; a module of one is a bug
        if error.name and error.name.startswith("hearthline") and "." in error.name:
            raise
        raise _not_installed(entry, str(error.name)) from None


def _is_missing(arguments: list[str], parts: dict[str, Any]) -> bool:
    """Whether the subcommand is none of the rooms that are here: then it is of one that is not."""
    word = next((each for each in arguments if not each.startswith("-")), None)
    return word is not None and not any(word in part.commands for part in parts.values())


def _merged(parts: dict[str, Any], arguments: list[str]) -> Any:
    if len(parts) == 1:
        return next(iter(parts.values()))
    is_of_center = any(each.partition("=")[0] == _OF_THE_CENTER for each in arguments)
    first, second = (_CENTER, _HOME) if is_of_center else (_HOME, _CENTER)
    parts[first].commands = {**parts[second].commands, **parts[first].commands}
    return parts[first]


def _not_installed(entry: EntryPoint, missing: str) -> NotInstalledError:
    word = entry.name.partition(".")[0]
    extra = _EXTRAS.get(entry.value.partition(".")[0], word)
    return NotInstalledError(TEXTS.say("not-installed", word=word, missing=missing, extra=extra))


def _fail(message: str, code: int) -> int:
    print(f"hearthline: {message}", file=sys.stderr)  # noqa: T201
    return code


def _usage(commands: Iterable[str]) -> str:
    lines = [TEXTS.say("usage"), ""]
    lines += [f"  {name:10} {TEXTS.say(name) if name in TEXTS.texts else ''}" for name in sorted(commands)]
    lines += ["", TEXTS.say("example")]
    return "\n".join(lines)
