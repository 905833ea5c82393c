"""A certificate authority as a center has it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from hearthline_cloud.identity.authority import Authority, make_issuing, make_root


def made_authority(folder: Path, now: datetime) -> Authority:
    """With its root in `folder`/root, and what the center keeps in `folder`/pki."""
    make_root(folder / "root", "East", now)
    make_issuing(folder / "pki", folder / "root", "East", now)
    return Authority(folder / "pki", now)
