"""Vectors that are taken over from earlier builds, and how large an index of many becomes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gspmc_mm.gsp.knowledge.vector_index import Journal, KnownVectors, ivf_lists, ivf_probes, name_key


def keys_of(*names: str) -> np.ndarray:
    return np.frombuffer(b"".join(map(name_key, names)), np.uint8).reshape(len(names), 16)


def test_vectors_are_found_by_their_names_in_all_that_is_known() -> None:
    known = KnownVectors()
    known.add(keys_of("a", "b", "c"), np.array([[1, 1], [2, 2], [3, 3]], np.float16))
    known.add(keys_of(), np.zeros((0, 2), np.float16))
    known.add(keys_of("d"), np.array([[4, 4]], np.float16))
    rows = np.zeros((5, 2), np.float16)
    unknown = known.fill(keys_of("d", "x", "c", "a", "y"), rows)
    assert unknown.tolist() == [1, 4]
    assert rows[:, 0].tolist() == [4, 0, 3, 1, 0]


def test_nothing_known_leaves_every_row_to_be_made() -> None:
    assert KnownVectors().fill(keys_of("a", "b"), np.zeros((2, 2), np.float16)).tolist() == [0, 1]


def test_a_journal_is_read_from_disk_and_without_what_a_crash_left_half_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "letters", 2)
    assert [len(part) for part in journal.read()] == [0, 0]
    journal.append(keys_of("a", "b"), np.array([[1, 1], [2, 2]]))
    with next(tmp_path.glob("*.vectors")).open("ab") as file:
        file.write(b"half")
    keys, rows = journal.read()
    assert isinstance(rows, np.memmap)
    np.testing.assert_array_equal(keys, keys_of("a", "b"))
    np.testing.assert_array_equal(rows, [[1, 1], [2, 2]])
    journal.append(keys_of("c"), np.array([[3, 3]]))
    assert journal.read()[1][:, 0].tolist() == [1, 2, 3]


def test_lists_and_probes_grow_with_the_root() -> None:
    assert (ivf_lists(40_001), ivf_lists(300_000), ivf_lists(6_600_000)) == (1024, 1095, 5138)
    assert (ivf_probes(1024), ivf_probes(1095), ivf_probes(5138)) == (24, 25, 54)
