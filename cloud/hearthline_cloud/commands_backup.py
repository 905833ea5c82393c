"""`hearthline cloud backup`, `backup-key` and `restore`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline_cloud import withdrawn
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.backup.making import make_backup
from hearthline_cloud.backup.manifest import FILES, POSTGRESQL, Manifest
from hearthline_cloud.backup.restoring import DUMP_FILE, ELSEWHERE, check_backup, restore_by, restore_into
from hearthline_cloud.backup.sealed import make_key
from hearthline_cloud.commands_center import ConfigOption, JsonOption, center, say
from hearthline_cloud.config import load_cloud_config
from hearthline_cloud.people import People

DEFAULT_KEY = Path("/etc/hearthline/backup.key")

KeyOption = Annotated[Path, typer.Option("--key-file", help="The key of the backups.", metavar="FILE")]


def backup_key(key_file: KeyOption = DEFAULT_KEY, json: JsonOption = False) -> None:
    """Make the key that seals backups. Keep a copy outside of this machine: without it no backup opens.

    Example: hearthline cloud backup-key --key-file /etc/hearthline/backup.key
    """
    make_key(key_file)
    say(
        {"key_file": str(key_file)},
        json,
        f"{key_file} is made. Copy it to a place outside of this machine, e.g. on paper in a safe: without it no "
        "backup opens.",
    )


def backup(
    to: Annotated[Path, typer.Option("--to", help="The backup's file; one that is there is replaced.", metavar="FILE")],
    config: ConfigOption = DEFAULT_CONFIG,
    key_file: KeyOption = DEFAULT_KEY,
    with_readings: Annotated[
        bool, typer.Option("--with-readings", help="The time series of the embedded store, too.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make an encrypted backup of a center that goes on working.

    Example: hearthline cloud backup --config cloud.toml --to /mnt/backup/center.backup
    """
    began = time.monotonic()
    made = make_backup(config, load_cloud_config(config), to, key_file, time.time_ns(), with_readings=with_readings)
    took_s = time.monotonic() - began
    size = to.stat().st_size
    lines = [f"{to}: {size / 1e6:.1f} MB in {took_s:.1f} s.", _in_words(made)]
    lines += [f"Not taken: {left}" for left in made.left_out]
    say({"file": str(to), "bytes": size, "seconds": took_s, "manifest": made}, json, "\n".join(lines))


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    to: Annotated[Path | None, typer.Option("--to", help="An empty or absent folder.", metavar="DIR")] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Into the empty data_dir and database of this configuration.", metavar="FILE"),
    ] = None,
    key_file: KeyOption = DEFAULT_KEY,
    erased: Annotated[
        Path | None,
        typer.Option("--erased", help="The center's last erased.json.", metavar="FILE"),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only read it through; nothing is written.")] = False,
    json: JsonOption = False,
) -> None:
    """Put a backup into an empty place, whole or not at all, or only check it.

    Example: hearthline cloud restore center.backup --config cloud.toml
    """
    if sum((to is not None, config is not None, check)) != 1:
        raise ConfigError("restore: give one of --to DIR, --config FILE and --check")
    if check:
        manifest = check_backup(file, key_file)
        say(manifest, json, f"{file} is whole.\n{_in_words(manifest)}")
        return
    now_ns = time.time_ns()
    if config is not None:
        settings = load_cloud_config(config)
        folder, restored = settings.directory, restore_by(file, key_file, settings, now_ns, erased)
    else:
        folder = to or Path()
        restored = restore_into(file, key_file, folder, now_ns, erased)
    lines = ["Restored.", _in_words(restored.manifest), *_to_do(restored.manifest, folder, config is not None)]
    if erased is None:
        lines.append(
            "Whoever was erased after the backup is back: erase them again, or restore with --erased and the center's "
            "last erased.json."
        )
    if restored.broken_at is not None:
        lines.append(f"The journal was broken at entry {restored.broken_at} already when the backup was made.")
    say(restored, json, "\n".join(lines))


def withdraw_again(
    file: Annotated[Path, typer.Argument(help="The file of withdrawals of the center that was lost.")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """After a restore, before the start: revoke and close again what the backup does not know.

    Example: hearthline cloud withdraw-again /mnt/other/withdrawn.jsonl --config cloud.toml
    """
    lines = withdrawn.read(file)
    with center(config) as (settings, database):
        people = People(database, settings.web.session_hours, settings.web.idle_minutes)
        done = withdrawn.withdraw_again(database, people, lines, time.time_ns())
    if file.resolve() != settings.withdrawn_path.resolve():
        for line in lines:
            withdrawn.note(settings.withdrawn_path, line)
    human = f"Gateways revoked again: {', '.join(done.gateways) or 'none'}. "
    human += f"Accounts closed again: {', '.join(done.staff) or 'none'}."
    say(done, json, human)


def _in_words(manifest: Manifest) -> str:
    age_h = (time.time_ns() - manifest.made_ns) / NS / 3600
    age = f"{age_h:.1f} hours" if age_h < 48 else f"{age_h / 24:.0f} days"
    return (
        f"Made {manifest.made_at}, {age} ago, by version {manifest.software}, {manifest.engine}, schema "
        f"{manifest.schema}.\n{manifest.open_cases} open cases, {manifest.closed_cases} closed. Journal: "
        f"{manifest.entries} entries, head {manifest.head}"
    )


def _to_do(manifest: Manifest, folder: Path, has_database: bool) -> list[str]:
    lines = [
        "Everybody has to log in again. The gateways send again what they keep of the time since the backup.",
        "BEFORE YOU START IT: the backup does not know which gateways were revoked and which accounts closed since. "
        "hearthline cloud withdraw-again FILE does it again, by withdrawn_file of the lost center; without that file "
        "do it by hand.",
    ]
    if any(member.name.startswith(FILES) for member in manifest.members):
        lines.append(f"What lay outside of data_dir is in {folder / ELSEWHERE / FILES}: put it where it belongs.")
    if not has_database and any(member.name == POSTGRESQL for member in manifest.members):
        lines.append(f"{folder / DUMP_FILE} is the database: restore with --config to have it loaded.")
    return lines
