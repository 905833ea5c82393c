"""A center's backup: taken while it works, sealed under a key of its own, put back whole or not at all.

sealed ...... the encrypted file: whatever was changed, cut off, put in or moved is refused
manifest .... what a backup holds, with the checksum of each part
copying ..... the databases at one instant, without holding up a writer
gathering ... the files that a center needs besides
making ...... those together in one file
restoring ... back into an empty place
"""

from __future__ import annotations

from hearthline.errors import HearthlineError


class BackupError(HearthlineError):
    """A backup that cannot be made or that cannot be trusted, and why."""
