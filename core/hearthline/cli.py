"""`hearthline`: finds the commands of the installed rooms through entry points.

Exit codes: 0 done, 1 failed, 2 wrong use or configuration, 3 part not installed.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hearthline import __version__
from hearthline.errors import HearthlineError, NotInstalledError

_HELP = {
    "demo": "the whole product on this machine: press a pendant, watch the alert arrive",
    "edge": "the gateway in the home: run, doctor, outbox, decode",
    "cloud": "the community center: run, migrate, user, registry",
    "dashboards": "Grafana's dashboards and provisioning: build, check, push",
    "sim": "simulated devices and homes, byte-exact firmware",
}


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Dispatch `hearthline ROOM …`; returns the exit code."""
    rooms = {entry.name: entry for entry in entry_points(group="hearthline.commands")}
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage(rooms))  # noqa: T201
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"hearthline {__version__}")  # noqa: T201
        return 0
    name, *rest = arguments
    if name not in rooms:
        return _fail(f"unknown command {name!r}; there are: {', '.join(sorted(rooms))}", 2)
    try:
        return _call(rooms[name], rest)
    except HearthlineError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:  # whoever reads what we print has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _call(entry: EntryPoint, arguments: list[str]) -> int:
    try:
        import typer

        command = typer.main.get_command(entry.load())
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0].startswith("hearthline"):
            raise
        raise _not_installed(entry.name, str(error.name)) from None
    # typer brings a click of its own or uses the installed one; its public error has the base class of either
    click_errors: Any = next(base for base in typer.BadParameter.__mro__ if base.__name__ == "ClickException")
    try:
        result = command.main(arguments, prog_name=f"hearthline {entry.name}", standalone_mode=False)
    except typer.Abort:
        return 1
    except click_errors as error:
        error.show()
        return 2
    return result if isinstance(result, int) else 0


def _not_installed(room: str, missing: str) -> NotInstalledError:
    extra = {"edge": "edge,cli"}.get(room, room)
    return NotInstalledError(
        f"'hearthline {room}' is not installed here (no module {missing!r}). "
        f"Install it with: pip install 'hearthline[{extra}]'"
    )


def _fail(message: str, code: int) -> int:
    print(f"hearthline: {message}", file=sys.stderr)  # noqa: T201
    return code


def _usage(rooms: dict[str, EntryPoint]) -> str:
    lines = ["usage: hearthline COMMAND …", ""]
    lines += [f"  {name:10} {_HELP.get(name, '')}" for name in sorted(rooms)]
    lines += ["", "example: hearthline demo"]
    return "\n".join(lines)
