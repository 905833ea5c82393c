"""The profiles that there are, shipped and the installer's own, each checked; and the drivers that they become.

    devices/profiles/*.toml --+--> checked --> known            an installer's own stands in for a shipped one of its
    the gateway's own folder -+       '------> broken + why     name: an update never takes it, nor fails on it

A file is named as the profile in it (`acme-sos.toml`), so that also a file that cannot be read says whose it is. In a
folder a wrong one is set aside, and told: one file must not silence a home. Given by itself it raises ConfigError.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from hearthline.config import load_config
from hearthline.errors import ConfigError
from hearthline.model import TELEMETRY_UNITS, VITAL_UNITS
from hearthline_edge import devices
from hearthline_edge.devices import Driver, SerialDriver
from hearthline_edge.profile import Profile
from hearthline_edge.profile_check import Way, check_profile, way_of
from hearthline_edge.profile_mqtt import mqtt_driver

WAY_OF_DRIVER: Final[dict[str, Way]] = {"modbus-rtu": "modbus", "mbus-wired": "mbus", "dlt645-2007": "dlt645"}
SHIPPED: Final = Path(devices.__file__).parent / "profiles"


@dataclass(frozen=True, slots=True)
class Profiles:
    """Every profile by its name. `own`: from the installer's folder. `broken`: a file's name and what is wrong."""

    known: dict[str, Profile]
    own: frozenset[str] = frozenset()
    broken: dict[str, str] = field(default_factory=dict)

    def of_way(self, way: Way) -> list[str]:
        return sorted(name for name, profile in self.known.items() if way_of(profile) == way)


@dataclass(frozen=True, slots=True)
class ProfileView:
    """A profile for a listing. `values` as quantity, place and unit; `supervision_s` 0: it cannot be supervised."""

    name: str
    title: str
    way: Way
    speaks: str
    values: tuple[str, ...]
    events: tuple[str, ...]
    supervision_s: float
    source: str


def load_profiles(folder: Path | None, shipped: Path = SHIPPED) -> Profiles:
    """The shipped profiles and those of the installer's folder. Raises ConfigError when the folder cannot be read."""
    known, broken = _load_folder(shipped)
    own: dict[str, Profile] = {}
    if folder is not None:
        own, own_broken = _load_folder(folder)
        known = {name: profile for name, profile in known.items() if name not in own_broken} | own
        broken = {name: why for name, why in broken.items() if name not in own} | own_broken
    return Profiles(known, frozenset(own), broken)


def _load_folder(folder: Path) -> tuple[dict[str, Profile], dict[str, str]]:
    known: dict[str, Profile] = {}
    broken: dict[str, str] = {}
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and path.name[0] != ".")
    except OSError as error:
        raise ConfigError(f"{folder}: the folder of profiles cannot be read: {error.strerror}") from None
    for path in paths:
        try:
            profile = load_profile(path)
            if profile.name != path.stem:
                raise ConfigError(
                    f"{path}: name = {profile.name!r}: call the file {profile.name}.toml, or the profile so"
                )
            known[path.stem] = profile
        except ConfigError as error:
            broken[path.stem] = str(error)
    return known, broken


def load_profile(path: Path) -> Profile:
    """One checked profile. Raises ConfigError, naming file and key, with what to do."""
    if not path.is_file():
        raise ConfigError(f"{path}: no such profile")
    profile = load_config(path, Profile)
    check_profile(profile, str(path))
    driver = driver_of(profile)
    if isinstance(driver, SerialDriver):
        driver.open_session(driver.decode_options, str(path))
    return profile


# --- what they become ---------------------------------------------------------------------------------------------


class SetAsideError(ConfigError):
    """Something names a profile whose file is wrong."""


def with_profiles(
    options: dict[str, Any], profiles: Profiles, way: Way, where: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A serial port's options with each `profile = "<name>"` replaced by the profile's table, and what was left out.

    An entry of a list (a meter) whose profile's file is wrong is left out and told. Raises ConfigError for a name that
    nobody knows or that speaks another way, SetAsideError when nothing would be left.
    """
    told: list[str] = []

    def resolve(tree: Any, place: str) -> Any:
        if isinstance(tree, list):
            return resolve_list(tree, place)
        if not isinstance(tree, dict):
            return tree
        return {
            key: _table(profiles, value, way, f"{place}.{key}")
            if key == "profile" and isinstance(value, str)
            else resolve(value, f"{place}.{key}")
            for key, value in tree.items()
        }

    def resolve_list(entries: list[Any], place: str) -> list[Any]:
        kept, errors = [], []
        for index, entry in enumerate(entries):
            try:
                kept.append(resolve(entry, f"{place}[{index}]"))
            except SetAsideError as error:
                errors.append(error)
        if errors and not kept:
            raise errors[0]
        told.extend(f"{error}; it is left out" for error in errors)
        return kept

    resolved: dict[str, Any] = resolve(options, where)
    return resolved, tuple(told)


def _table(profiles: Profiles, name: str, way: Way, where: str) -> dict[str, Any]:
    if name in profiles.broken:
        raise SetAsideError(f"{where} = {name!r}: {profiles.broken[name]}")
    profile = profiles.known.get(name)
    if profile is None or way_of(profile) != way:
        known = ", ".join(profiles.of_way(way)) or "none"
        what = "is not known" if profile is None else f"is of [{way_of(profile)}]"
        raise ConfigError(f"{where} = {name!r} {what}; profiles of [{way}]: {known}")
    table: dict[str, Any] = msgspec.to_builtins(profile)
    return table


def driver_of(profile: Profile) -> Driver:
    """The driver that decodes this profile's recordings. Raises ConfigError when there is none."""
    way = way_of(profile)
    if way == "mqtt":
        return mqtt_driver(profile)
    name = next(name for name, each in WAY_OF_DRIVER.items() if each == way)
    driver = devices.find_drivers().get(name)
    if not isinstance(driver, SerialDriver):
        raise ConfigError(f"{profile.name}: there is no driver {name!r} for a [{way}] profile")
    return replace(driver, decode_options={**driver.decode_options, "profile": msgspec.to_builtins(profile)})


def describe(profile: Profile) -> ProfileView:
    """What a listing says of a profile."""
    way = way_of(profile)
    speaks = profile.mqtt.topic if profile.mqtt is not None else f"every {getattr(profile, way).interval_s:g} s"
    units = TELEMETRY_UNITS | VITAL_UNITS
    values = tuple(f"{rule.quantity}{rule.place} {units[rule.quantity]}" for rule in profile.value)
    events = tuple(dict.fromkeys(rule.event for rule in profile.event))
    return ProfileView(profile.name, profile.title, way, speaks, values, events, profile.supervision_s, profile.source)
