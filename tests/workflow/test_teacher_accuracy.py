"""The dissertation's network learns both data sets, and is judged by people it never saw."""

from __future__ import annotations

from pathlib import Path

from affectflow.demo.teacher import INDEX
from affectflow.teacher.index import read_index
from affectflow.teacher.training import Trained


def test_nobody_who_is_tested_was_seen_before(taught: tuple[Path, Trained]) -> None:
    parts = {
        name: {face.path.stem[:4] for face in part.faces}
        for name, part in vars(read_index(taught[0] / INDEX)).items()
    }
    tested = [people for name, people in parts.items() if name.startswith("test")]
    others = [people for name, people in parts.items() if not name.startswith("test")]
    assert min(map(len, tested)) >= 6
    assert not set.union(*tested) & set.union(*others)
    assert tested[0].isdisjoint(tested[1])


def test_odd_faces_of_unseen_people_are_found(taught: tuple[Path, Trained]) -> None:
    # Chance finds a third.
    assert taught[1].metrics["fec"]["accuracy"] >= 0.9


def test_expressions_of_unseen_people_are_told(taught: tuple[Path, Trained]) -> None:
    assert taught[1].metrics["affectnet"]["accuracy"] >= 0.8
