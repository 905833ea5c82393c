"""What makes a Debian or Raspberry Pi OS machine a gateway, as text: service, guard, user, broker, the log's bound.

Pure. Reasons stand beside the lines in the files themselves, for whoever reads them on the gateway.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from hearthline_edge.agent_folder import agent_folder
from hearthline_edge.config import EdgeConfig
from hearthline_edge.versions import CURRENT, GUARD

USER = "hearthline-edge"
UNIT = "hearthline-edge.service"
GUARD_UNIT = "hearthline-guard.service"
BROKER_UNIT = "mosquitto.service"
STATE_ROOT = PurePosixPath("/var/lib")
SERVICE_FILE = PurePosixPath("/etc/systemd/system") / UNIT
GUARD_FILE = PurePosixPath("/etc/systemd/system") / GUARD_UNIT
USER_FILE = PurePosixPath("/etc/sysusers.d/hearthline-edge.conf")
LOG_FILE = PurePosixPath("/etc/systemd/journald.conf.d/hearthline-edge.conf")
BROKER_FILE = PurePosixPath("/etc/mosquitto/conf.d/hearthline.conf")

_MADE = "# Made by `hearthline edge install`; `hearthline edge remove` takes it away."


def files(config: EdgeConfig, config_file: Path, python: Path) -> dict[PurePosixPath, str]:
    """Every file by its place, the service last.

    The broker's only where the gateway has devices on one of its own; the guard's where a release laid `python` down.
    """
    made = {USER_FILE: _user(), LOG_FILE: _log()}
    if config.local_mqtt is not None and config.local_mqtt.host in ("127.0.0.1", "localhost", "::1"):
        made[BROKER_FILE] = _broker(config.local_mqtt.port)
    if python.parts[-3:-1] == (CURRENT, "bin"):
        made[GUARD_FILE] = _guard(python.parents[2])
    made[SERVICE_FILE] = _service(config, config_file, python)
    return made


def _user() -> str:
    return f"""{_MADE}
u {USER} - "Hearthline gateway agent"
m {USER} dialout
"""


def _log() -> str:
    return f"""{_MADE}
# An SD card wears out, and a full one stops a gateway: the log has a bound, and reaches the card every five minutes.
[Journal]
Storage=persistent
SystemMaxUse=64M
SystemMaxFileSize=8M
SyncIntervalSec=5m
"""


def _broker(port: int) -> str:
    return f"""{_MADE}
# The broker of this home's devices: docs/operations.md, section 4, says why each line is there.
per_listener_settings false
listener {port} 127.0.0.1
allow_anonymous true
autosave_interval 1
autosave_on_changes true
queue_qos0_messages true
set_tcp_nodelay true
max_queued_messages 100000
max_inflight_messages 200
"""


def _service(config: EdgeConfig, config_file: Path, python: Path) -> str:
    data = PurePosixPath(config.data_dir)
    if data.parent == STATE_ROOT:
        state = f"StateDirectory={data.name}\nStateDirectoryMode=0700"
    else:
        state = f"ReadWritePaths={data}"
    state += "\n# What the center has changed, and the list of devices."
    state += f"\nReadWritePaths={agent_folder(config_file.parent)}"
    return f"""{_MADE}
[Unit]
Description=Hearthline gateway agent: alarms, vital signs and meters of this home
Wants=network-online.target
After=network-online.target {BROKER_UNIT}
# An agent that cannot start is started again for ever: somebody may lie on a floor.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={python} -m hearthline_edge --config {config_file}
User={USER}
SupplementaryGroups=dialout
{state}
UMask=0077
Restart=always
RestartSec=2
WatchdogSec=60
TimeoutStopSec=20
# When memory is short, everything else goes first.
OOMScoreAdjust=-900
Nice=-5

# It reads serial ports, USB monitors and the network, and writes to its own folder. Nothing else.
DevicePolicy=closed
DeviceAllow=char-ttyUSB rw
DeviceAllow=char-ttyACM rw
DeviceAllow=char-ttyAMA rw
DeviceAllow=char-ttyS rw
DeviceAllow=char-hidraw rw
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectProc=invisible
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# Asking the kernel whether the clock is synchronised is one of these; setting it needs a right that it does not have.
SystemCallFilter=@clock
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def _guard(root: Path) -> str:
    return f"""{_MADE}
[Unit]
Description=Takes an update of the Hearthline agent back that does not reach the center
# The link is there while an update is on trial, also after a power cut. It names the version that was good before.
ConditionPathIsSymbolicLink={root / GUARD}
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={root / GUARD}/bin/python -m hearthline_edge.guard {root}
Restart=on-failure
RestartSec=2

# It is root's, for it orders systemd; it changes the links of the versions and nothing else.
ProtectSystem=strict
ReadWritePaths={root}
ProtectHome=yes
PrivateTmp=yes
PrivateNetwork=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectClock=yes
NoNewPrivileges=yes
# The agent's folder is closed to everybody else.
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
