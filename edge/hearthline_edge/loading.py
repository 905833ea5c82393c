"""From the agent's configuration file to what it works by, with profiles, devices and what the center has changed.

What is wrong in the file itself is a ConfigError. A profile's file that is wrong is set aside, with whatever names it,
and told as a fault: profiles change with updates and by many hands, and one must not silence the rest of the home. So
is a port with line settings that no line can have; whoever puts a configuration into use has it refused
(`refuse_wrong_lines`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs, to_builtins

from hearthline.config import check_config, config_of, load_tree, read_secret
from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline.remote import PORT, config_fault, named_ports
from hearthline.wire import is_gateway_id
from hearthline_edge.agent_folder import agent_folder
from hearthline_edge.config import (
    EdgeConfig,
    EdgeFile,
    LineConfig,
    LocalMqttConfig,
    SerialConfig,
    UplinkConfig,
)
from hearthline_edge.device_list import load_list, merged
from hearthline_edge.devices import Driver, MqttDriver, SerialDriver, find_drivers
from hearthline_edge.profile import Profile
from hearthline_edge.profiles import WAY_OF_DRIVER, Profiles, SetAsideError, load_profiles, with_profiles
from hearthline_edge.remote_trial import Folder

T = TypeVar("T")
log = Log(__name__)


def load_edge_config(path: Path, tries: bool = True) -> EdgeConfig:
    """The file, and over it what the center has changed, if that can be; `tries`: also what is on trial.

    Raises ConfigError, naming file and key, for anything that could not work; but see `EdgeConfig.faults`.
    """
    own = load_own(path)
    folder = Folder(path)
    try:
        changed = folder.in_force() if tries else folder.proved()
        return load_changed(path, changed) if changed else own
    except (ConfigError, OSError, ValueError) as error:
        fault = f"{folder.center_file} is set aside: {error}; send the configuration from the center again"
        return structs.replace(own, faults=(*own.faults, fault))


def load_own(path: Path) -> EdgeConfig:
    """The installer's file alone."""
    return _checked(path, *_read(path))


def refuse_wrong_lines(config: EdgeConfig) -> None:
    """Before a configuration is put into use. Raises ConfigError."""
    if config.wrong_lines:
        raise ConfigError(config.wrong_lines[0])


def load_changed(path: Path, changed: dict[str, Any]) -> EdgeConfig:
    """The installer's file with `changed` over it. Raises ConfigError that speaks of the change, or of the file."""
    own, wrong_lines = _read(path)
    if (fault := config_fault(changed)) is not None:
        raise ConfigError(fault)
    mine = {port.port for port in own.serial} | {siren.target for siren in own.siren}
    for key, port in named_ports(changed):
        if port not in mine and PORT.fullmatch(port) is None:
            raise ConfigError(f"{key} = {port!r} is no serial port; name one under /dev/serial/by-id")
    tree = to_builtins(own)
    for key, value in changed.items():
        if key == "local_mqtt":
            if own.local_mqtt is None:
                raise ConfigError("local_mqtt: this gateway has no local broker; its own file must name it first")
            value = to_builtins(own.local_mqtt) | value
        tree[key] = value
    try:
        file = check_config(tree, EdgeFile, str(path))
        checked = _checked(path, file, {} if "serial" in changed else wrong_lines)
        return structs.replace(checked, center=tuple(sorted(changed)))
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix(f"{path}: ")) from None
    except Exception as error:  # a driver of anybody's looks at options from afar: whatever it meets ends no agent
        log.exception("a configuration of the center not understood")
        raise ConfigError(f"a driver cannot work with it: {type(error).__name__}: {error}") from None


def _read(path: Path) -> tuple[EdgeFile, dict[int, str]]:
    """The file, and its ports with impossible line settings: they are left out of it, and told. Raises ConfigError."""
    tree, faults = load_tree(path), dict[int, str]()
    entries = tree.get("serial")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if not isinstance(entry, dict):
            continue  # the check of the whole says so
        line = {key: entry[key] for key in LineConfig.__struct_fields__ if key in entry}
        try:
            check_config(line, LineConfig, f"{path}: serial[{index}]")
        except ConfigError as error:
            faults[index] = f"{error}; the port {entry.get('name')} is not served"
            for key in line:
                del entry[key]
    return config_of(tree, EdgeFile, path), faults


def _checked(path: Path, file: EdgeFile, wrong_lines: dict[int, str]) -> EdgeConfig:
    if not is_gateway_id(file.gateway):
        raise ConfigError(
            f"{path}: gateway = {file.gateway!r} must be 1 to 64 letters, digits, '.', '_' or '-', the first a "
            "letter or digit"
        )
    config = _with_profiles(path, file, wrong_lines)
    drivers = find_drivers()
    _no_repeats(path, "serial", "name", [port.name for port in file.serial])
    _no_repeats(path, "serial", "port", [port.port for port in file.serial])
    _no_repeats(path, "device", "id", [device.id for device in file.device])
    for index, port in enumerate(file.serial):
        resolved = next((each for each in config.serial if each.name == port.name), None)
        if resolved is not None:
            _check_serial(f"{path}: serial[{index}]", resolved, drivers)
    for key, section in (("uplink", config.uplink), ("local_mqtt", config.local_mqtt), ("metrics", config.metrics)):
        if section is not None:
            _check_host(f"{path}: {key}.host", section.host)
    if config.local_mqtt is not None:
        _check_local(f"{path}: local_mqtt", config.local_mqtt, drivers)
    _check_uplink(f"{path}: uplink", config.uplink)
    for index, siren in enumerate(config.siren):
        if siren.kind == "zigbee" and config.local_mqtt is None:
            raise ConfigError(f"{path}: siren[{index}].kind = 'zigbee' needs a section [local_mqtt]")
        if siren.target in {port.port for port in file.serial}:
            raise ConfigError(f"{path}: siren[{index}].target = {siren.target!r} is the port of a [[serial]] already")
    return _with_list(agent_folder(path.absolute().parent), config)


def _with_list(folder: Path, config: EdgeConfig) -> EdgeConfig:
    try:
        listed, fault = load_list(folder), ""
    except ConfigError as error:
        listed, fault = [], f"devices: the list is not known: {error}"
    devices = merged(config.device, listed)
    return structs.replace(config, device=devices, folder=str(folder), listed=tuple(listed), list_fault=fault)


def own_profile_folder(path: Path) -> Path | None:
    """Where the configuration at `path` keeps the installer's profiles, if there are any. Raises ConfigError."""
    return _profile_folder(path, _read(path)[0])


def _profile_folder(path: Path, file: EdgeFile) -> Path | None:
    folder = path.parent / (file.profile_dir or "profiles")
    if folder.is_dir():
        return folder
    if file.profile_dir is not None:
        raise ConfigError(f"{path}: profile_dir = {file.profile_dir!r}: there is no folder {folder}; create it")
    return None


def _with_profiles(path: Path, file: EdgeFile, wrong_lines: dict[int, str]) -> EdgeConfig:
    """The configuration with its profiles, and what of them had to be set aside."""
    profiles = load_profiles(_profile_folder(path, file))
    told = tuple(wrong_lines.values())
    faults = [*told, *(f"profile {name}: {why}" for name, why in profiles.broken.items())]
    ports = []
    for index, port in enumerate(file.serial):
        if index in wrong_lines:
            continue
        way = WAY_OF_DRIVER.get(port.driver)
        try:
            if way is not None:
                options, left_out = with_profiles(port.options, profiles, way, f"{path}: serial[{index}].options")
                port = structs.replace(port, options=options)
                faults += left_out
            ports.append(port)
        except SetAsideError as error:
            faults.append(f"{error}; the port {port.name} is not served")
    mqtt = _mqtt_profiles(path, file.local_mqtt, profiles)
    if mqtt and file.local_mqtt is None:
        names = ", ".join(profile.name for profile in mqtt)
        faults.append(f"profile {names}: hears nothing without a section [local_mqtt] in {path}")
    asked = structs.asdict(structs.replace(file, serial=ports))
    return EdgeConfig(**asked, mqtt_profiles=mqtt, faults=tuple(faults), wrong_lines=told)


def _mqtt_profiles(path: Path, local: LocalMqttConfig | None, profiles: Profiles) -> tuple[Profile, ...]:
    """The installer's own, and the shipped ones that the file names."""
    known = profiles.of_way("mqtt")
    named = [] if local is None else local.profiles
    for name in named:
        if name not in known and name not in profiles.broken:
            raise ConfigError(
                f"{path}: local_mqtt.profiles: {name!r} is no MQTT profile; there are: {', '.join(known)}"
            )
    return tuple(profiles.known[name] for name in known if name in profiles.own or name in named)


def _check_serial(where: str, port: SerialConfig, drivers: dict[str, Driver]) -> None:
    driver = drivers.get(port.driver)
    if not isinstance(driver, SerialDriver):
        known = ", ".join(sorted(name for name, each in drivers.items() if isinstance(each, SerialDriver)))
        raise ConfigError(f"{where}.driver = {port.driver!r} is not a serial driver; there are: {known}")
    if driver.recordings_only:
        raise ConfigError(f"{where}.driver = {port.driver!r} serves no port: {driver.recordings_only}")
    driver.open_session(port.options, f"{where}.options")  # its errors name what it was given as a name


def _check_host(where: str, host: str) -> None:
    """Python's resolver raises something of its own for a name that the encoding of host names cannot hold."""
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ConfigError(f"{where} = {host!r} is no host's name: {error}") from None
    if not host.isprintable():
        raise ConfigError(f"{where} = {host!r} is no host's name")


def _check_local(where: str, local: LocalMqttConfig, drivers: dict[str, Driver]) -> None:
    _check_login(where, local.username, local.password_file)
    for name, options in local.options.items():
        driver = drivers.get(name)
        if not isinstance(driver, MqttDriver):
            raise ConfigError(f"{where}.options.{name}: there is no such MQTT driver")
        _within(f"{where}.options.", lambda driver=driver, options=options: driver.configured(options))  # type: ignore[misc]
        _within(f"{where}.options.", lambda driver=driver, options=options: driver.open_session(options))  # type: ignore[misc]


def _check_uplink(where: str, uplink: UplinkConfig) -> None:
    _check_login(where, uplink.username, uplink.password_file)
    if uplink.cert_file is not None and uplink.ca_file is None:
        raise ConfigError(f"{where}.cert_file needs {where.rpartition(' ')[2]}.ca_file, which switches TLS on")
    if uplink.key_file is not None and uplink.cert_file is None:
        raise ConfigError(f"{where}.key_file needs the cert_file that it belongs to")
    if uplink.second_cert_file is not None and uplink.cert_file is None:
        raise ConfigError(f"{where}.second_cert_file needs the cert_file of the first session")


def _check_login(where: str, username: str | None, password_file: str | None) -> None:
    if password_file is not None and username is None:
        raise ConfigError(f"{where}.password_file needs a username")
    read_secret(password_file, f"{where}.password_file")


def _no_repeats(path: Path, section: str, key: str, values: Iterable[str]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            raise ConfigError(f"{path}: {section}: {key} = {value!r} is used {count} times")


def _within(where: str, check: Callable[[], T]) -> T:
    try:
        return check()
    except ConfigError as error:
        raise ConfigError(f"{where}{error}") from None
