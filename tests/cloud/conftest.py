from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_center import Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    made.populate()
    yield made
    made.close()
