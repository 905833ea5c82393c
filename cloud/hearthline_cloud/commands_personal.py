"""`hearthline cloud personal-key`: the key that personal data is sealed with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hearthline.errors import StorageError
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.commands_center import ConfigOption, JsonOption, center, say
from hearthline_cloud.personal.keys import UnreadableError, make_key_file
from hearthline_cloud.personal.opening import key_file
from hearthline_cloud.personal.rotating import rotate

DEFAULT_KEY = Path("/etc/hearthline/personal.key")
key_app = typer.Typer(no_args_is_help=True, help="The key that personal data is sealed with in the database.")


@key_app.command("new")
def new(
    file: Annotated[Path, typer.Option("--key-file", help="Where to.", metavar="FILE")] = DEFAULT_KEY,
    json: JsonOption = False,
) -> None:
    """Make a key for a new center, in a file that must not be there. Keep a copy outside of this machine.

    Example: hearthline cloud personal-key new --key-file /etc/hearthline/personal.key
    """
    made = make_key_file(file)
    say(
        {"key_file": str(file), "key": made},
        json,
        f"{file} is made, key {made}. Name it as personal_key_file in cloud.toml, and copy it to a place outside of "
        "this machine: without it no name and no address can be read. Backups hold it, sealed.",
    )


@key_app.command("rotate")
def rotate_key(
    config: ConfigOption = DEFAULT_CONFIG,
    forget_old: Annotated[
        bool,
        typer.Option("--forget-old", help="Take the old keys out of the file."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Seal everything by a new key, while the center works. Stopped in the middle, it goes on when it is run again.

    Example: hearthline cloud personal-key rotate --config cloud.toml
    """
    with center(config) as (settings, database):
        file = key_file(settings)
        try:
            done = rotate(database, file, forget_old=forget_old)
        except UnreadableError as error:
            raise StorageError(
                f"a data key in the database cannot be opened: {error}; nothing there was changed"
            ) from None
    lines = [f"Key {done.present} seals now; {done.data_keys} data keys were sealed anew. Copy {file} once more."]
    if done.kept:
        lines.append(f"{done.kept} old keys are kept in the file; --forget-old takes them out.")
    if database.is_server:
        lines.append("Copy the file to the other machines now: until then they show [unreadable] for names.")
    say(done, json, "\n".join(lines))
