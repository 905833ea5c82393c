"""A search by name over sealed names: 10,000 residents in as many homes, on SQLite.

`first` opens every data key anew, as after a start; later searches have them in memory.

    python bench/personal.py [--residents 10000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from sqlalchemy import insert

from hearthline_cloud import schema
from hearthline_cloud.console.history import homes_called
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.personal.keys import KEY_FILE
from hearthline_cloud.personal.opening import unlock
from hearthline_cloud.personal.rotating import rotate
from hearthline_cloud.personal.vault import sealed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--residents", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / KEY_FILE
        database = Database(sqlite_url(Path(folder) / "hearthline.db"))
        database.migrate()
        unlock(database, key, may_make=True)
        print(f"sealing {options.residents} residents and homes: {_seal(database, options.residents):.1f} s")
        unlock(database, key, may_make=False)
        for name in ("first", "second", "third"):
            began = time.perf_counter()
            with database.reading() as connection:
                found = homes_called(connection, "住户 77", None)
            print(f"{name} search: {(time.perf_counter() - began) * 1000:.0f} ms, {len(found)} homes")
        began = time.perf_counter()
        done = rotate(database, key, forget_old=True)
        print(f"rotation of {done.data_keys} data keys: {time.perf_counter() - began:.1f} s")
        database.close()


def _seal(database: Database, residents: int) -> float:
    began = time.perf_counter()
    with database.transaction() as connection:
        connection.execute(insert(schema.community).values(id="c", name="东区"))
        for number in range(residents):
            home = {"id": f"h-{number}", "community_id": "c", "name": f"幸福里 {number} 室", "address": "梧桐路18弄"}
            connection.execute(insert(schema.home).values(**sealed(connection, schema.home, home)))
            person = {"id": f"r-{number}", "home_id": f"h-{number}", "name": f"住户 {number}", "contacts": []}
            connection.execute(insert(schema.resident).values(**sealed(connection, schema.resident, person)))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
