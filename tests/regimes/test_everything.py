import json
from itertools import product
from pathlib import Path

from benchmarks.regimes.__main__ import everything
from benchmarks.regimes.cells import in_files


def test_rows_of_several_processes_come_in_order_and_finished_ones_are_not_made_again(tmp_path: Path) -> None:
    seeds, sizes, rows = [0, 1], [30, 50], ["disjoint", "joint, one phase"]
    config = {"seeds": seeds, "sizes": sizes, "rows": {row: {} for row in rows}}
    expected = []
    for seed, size in product(seeds, sizes):
        for row in rows:
            found = {"seed": seed, "size": size, "row": row, "columns": {}}
            (tmp_path / f"{size}-{seed}-{in_files(row)}.json").write_text(json.dumps(found))
            expected.append(found)
    assert list(everything(config, tmp_path / "no data", tmp_path, threads=1, jobs=2)) == expected
