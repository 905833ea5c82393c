"""What the agent itself writes of its configuration: a folder of its own beside the installer's file.

    /etc/hearthline/ .......... root's: edge.toml, certificates, profiles; the agent only reads them
    /etc/hearthline/agent/ .... the agent's: devices.toml, center.toml, center-trial.json

So whoever takes the agent over cannot name another `data_dir` or secret, which root would give to the agent's user.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

NAME: Final = "agent"


def agent_folder(configuration: Path) -> Path:
    """Of a configuration's folder."""
    return configuration / NAME
