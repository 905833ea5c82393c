"""The staff: `accounts`, `sessions`, and `login`, which leads from a name and a password to a session."""

from hearthline_cloud.people.accounts import MAX_NAME, MAX_PASSWORD, Account, Accounts
from hearthline_cloud.people.login import LoginError, People, ThrottledError
from hearthline_cloud.people.sessions import DEVICE_DAYS, VIEWER_DAYS, Session, Sessions, hash_token

__all__ = [
    "DEVICE_DAYS",
    "MAX_NAME",
    "MAX_PASSWORD",
    "VIEWER_DAYS",
    "Account",
    "Accounts",
    "LoginError",
    "People",
    "Session",
    "Sessions",
    "ThrottledError",
    "hash_token",
]
