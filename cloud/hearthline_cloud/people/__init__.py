"""The staff: accounts, sessions, second factors, and `login`, which leads from name, password and code to a session."""

from hearthline_cloud.people.accounts import MAX_NAME, MAX_PASSWORD, Account, Accounts
from hearthline_cloud.people.login import (
    CodeError,
    CodeNeededError,
    EnrolFirstError,
    LoginError,
    People,
    StepOverError,
    ThrottledError,
)
from hearthline_cloud.people.sessions import DEVICE_DAYS, VIEWER_DAYS, Session, Sessions, hash_token

__all__ = [
    "DEVICE_DAYS",
    "MAX_NAME",
    "MAX_PASSWORD",
    "VIEWER_DAYS",
    "Account",
    "Accounts",
    "CodeError",
    "CodeNeededError",
    "EnrolFirstError",
    "LoginError",
    "People",
    "Session",
    "Sessions",
    "StepOverError",
    "ThrottledError",
    "hash_token",
]
