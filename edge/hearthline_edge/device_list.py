"""`devices.toml` in the agent's folder: this home's devices, as an installer has bound them and the center knows them.

    waiting   bound by an installer, the center has not answered yet
    bound     the center has it so
    refused   it belongs to another home; its buttons mean what an unknown device's do. With the reason `leaving` an
              installer has removed it, and the center has yet to be told

A list never decides whether a press counts: a pendant that is not in it raises an emergency. What `edge.toml` says of a
device's buttons goes before it. A file that cannot be read is a fault, and the home goes on without it.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from hearthline.config import Config, check_config
from hearthline.errors import ConfigError
from hearthline.toml_text import to_toml
from hearthline.whole_file import write_whole
from hearthline.wire import MAX_DEVICE
from hearthline_edge.foreign_folder import read_plain

FILE: Final = "devices.toml"
Role = Literal["emergency", "service", "cancel", "ignore"]
State = Literal["waiting", "bound", "refused"]
Text = Annotated[str, Meta(max_length=200, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
LEAVING: Final = "leaving"
_NOTE = "The devices of this home: written by the agent. Change it with: hearthline device add, hearthline edge devices"


class DeviceConfig(Config, frozen=True):
    """What a device's buttons mean; `*` stands for every other button. Without an entry: emergency."""

    id: Annotated[str, Meta(min_length=1)]
    buttons: dict[str, Role] = {}


class ListedDevice(DeviceConfig, frozen=True):
    """`kind` as the center's registry has it; `user` of a shared cuff; `bound`: when, RFC 3339.

    `reason`: one word, why it is refused or still waits.
    """

    id: Annotated[str, Meta(min_length=1, max_length=MAX_DEVICE, pattern=r"\A[^\x00-\x1f\x7f]+\Z")]
    name: Text = ""
    room: Text = ""
    kind: Annotated[str, Meta(max_length=32, pattern=r"\A[a-z0-9-]*\Z")] = ""
    buttons: Annotated[dict[Text, Role], Meta(max_length=32)] = {}
    user: Annotated[int, Meta(ge=0, le=999)] | None = None
    bound: Text = ""
    state: State = "bound"
    reason: Text = ""


class _File(Config, frozen=True):
    device: list[ListedDevice] = []


def as_listed(tree: Any) -> ListedDevice:
    """An entry that came from elsewhere. Raises ConfigError."""
    try:
        return msgspec.convert(tree, ListedDevice)
    except msgspec.ValidationError as error:
        raise ConfigError(f"not a device: {error}") from None


def load_list(folder: Path) -> list[ListedDevice]:
    """The list in the configuration's folder; empty where there is none. Raises ConfigError for one that is wrong."""
    path = folder / FILE
    try:
        tree = tomllib.loads(read_plain(path).decode())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    devices = check_config(tree, _File, str(path)).device
    ids = [device.id for device in devices]
    if twice := next((each for each in ids if ids.count(each) > 1), None):
        raise ConfigError(f"{path}: device: id = {twice!r} is there twice")
    return devices


def write_list(folder: Path, devices: Iterable[ListedDevice]) -> None:
    """The whole list, there or not at all; it is its folder's owner's. Raises OSError."""
    path = folder / FILE
    folder.mkdir(mode=0o755, exist_ok=True)
    entries = [_shown(device) for device in devices]
    content = to_toml({"device": entries} if entries else {}, _NOTE).encode()
    write_whole(path, content, owner=folder.stat() if os.geteuid() == 0 else None)


def set_aside_list(folder: Path) -> None:
    """A list that cannot be read makes room, and stays to be looked at. Raises OSError."""
    path = folder / FILE
    if path.exists():
        path.replace(path.with_name(f"{FILE}.broken"))


def _shown(device: ListedDevice) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(device)
    return {key: value for key, value in tree.items() if value not in ("", None, {})}


def merged(own: Sequence[DeviceConfig], listed: Iterable[ListedDevice]) -> list[DeviceConfig]:
    """What the roles of buttons are taken from: the installer's file first, then the list, without what is refused."""
    named = {device.id for device in own}
    return [*own, *(each for each in listed if each.id not in named and each.state != "refused")]


def role_in(devices: Iterable[DeviceConfig], device: str, button: str) -> Role:
    """In doubt an emergency: a button that nobody has described still raises."""
    for entry in devices:
        if entry.id == device:
            return entry.buttons.get(button, entry.buttons.get("*", "emergency"))
    return "emergency"


def refusals(listed: Iterable[ListedDevice]) -> list[str]:
    """A fault for each device that the center has not taken."""
    return [
        f"devices: {each.id} "
        + ("belongs to another home" if each.reason == "elsewhere" else "is refused by the center's registry")
        for each in listed
        if each.state == "refused" and each.reason != LEAVING
    ]


def with_center_list(listed: Sequence[ListedDevice], center: Iterable[ListedDevice]) -> list[ListedDevice]:
    """The center's list in the place of ours; what the installer has bound or removed and it has not answered stays.

    A device that the center says no roles of keeps those that it had here.
    """
    before = {device.id: device for device in listed}
    taken = [_with_what_was(device, before.get(device.id)) for device in center]
    named = {device.id for device in taken}
    return [*taken, *(device for device in listed if device.state != "bound" and device.id not in named)]


def _with_what_was(center: ListedDevice, before: ListedDevice | None) -> ListedDevice:
    if before is None:
        return center
    if before.state == "waiting" or before.reason == LEAVING:
        return before
    return msgspec.structs.replace(center, buttons=center.buttons or before.buttons, bound=before.bound)
