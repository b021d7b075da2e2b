"""Append-only files: torn lines, several writers."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.errors import ScarecrowError
from pipelines.mart import journal


def test_a_line_that_its_writer_did_not_finish_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal.append(path, [{"n": 1}])
    whole = path.read_bytes()
    for cut in range(1, 9):
        path.write_bytes(whole + b'{"n": 2}\n'[:cut])
        assert [value for _, value in journal.read(path)] == ([{"n": 1}])
        journal.append(path, [{"n": 3}])
        assert [value["n"] for _, value in journal.read(path) if value["n"] != 2] == [1, 3]


def test_a_line_that_is_broken_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for text in ('{"n": 1}\n{"n": \n', '{"n": 1}\n[2]\n', '{"n": 1}\nx\n{"n": 2}\n'):
        path.write_text(text)
        with pytest.raises(ScarecrowError, match=r"a\.jsonl:2 cannot be read; mend or remove that line"):
            journal.read(path)


def test_writers_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"

    def write(writer: int) -> None:
        for n in range(20):
            journal.append(
                path, [{"writer": writer, "n": n, "text": "x" * 5000}, {"writer": writer, "n": -n}]
            )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(found) == 160
    for writer in range(4):
        assert [v["n"] for v in found if v["writer"] == writer and "text" in v] == list(range(20))


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    with pytest.raises(ScarecrowError, match="cannot be written"):
        journal.append(tmp_path / "folder" / "a.jsonl", [{"n": 1}])
