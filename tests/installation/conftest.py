"""One gateway for all tests of updates, and its long trials in the long form alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from installation.gateway import Gateway, installed_gateway
from trials import LONG, publish

collect_ignore = [] if LONG else ["test_update_trials.py"]


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    target = "multi-user.target" if LONG else "basic.target"
    with installed_gateway(tmp_path_factory.mktemp("updated"), target) as gateway:
        yield gateway
        ends = [kind for kind, _ in gateway.notes()]
        presses = sum(kind == "hearthline.alarm.v1" for kind, _, _ in gateway.stored())
        publish("updates", begun=ends.count("update-begins"), undone=ends.count("update-undone"), presses=presses)
