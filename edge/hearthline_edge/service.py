"""What makes a Debian or Raspberry Pi OS machine a gateway, as text: service, user, broker, the bound of the log.

Pure. Reasons stand beside the lines in the files themselves, for whoever reads them on the gateway.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from hearthline_edge.config import EdgeConfig

USER = "hearthline-edge"
UNIT = "hearthline-edge.service"
BROKER_UNIT = "mosquitto.service"
STATE_ROOT = PurePosixPath("/var/lib")
SERVICE_FILE = PurePosixPath("/etc/systemd/system") / UNIT
USER_FILE = PurePosixPath("/etc/sysusers.d/hearthline-edge.conf")
LOG_FILE = PurePosixPath("/etc/systemd/journald.conf.d/hearthline-edge.conf")
BROKER_FILE = PurePosixPath("/etc/mosquitto/conf.d/hearthline.conf")

_MADE = "# Made by `hearthline edge install`; `hearthline edge remove` takes it away."


def files(config: EdgeConfig, config_file: Path, python: Path) -> dict[PurePosixPath, str]:
    """Every file by its place, the service last. The broker's only where the gateway has devices on one of its own."""
    made = {USER_FILE: _user(), LOG_FILE: _log()}
    if config.local_mqtt is not None and config.local_mqtt.host in ("127.0.0.1", "localhost", "::1"):
        made[BROKER_FILE] = _broker(config.local_mqtt.port)
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
