"""The dissertation's network learns both data sets, and is judged by people it never saw."""

from __future__ import annotations

from pathlib import Path

from affectflow.demo.teacher import INDEX
from affectflow.teacher.index import read_index
from affectflow.teacher.training import Trained


def test_nobody_is_in_two_splits(taught: tuple[Path, Trained]) -> None:
    data = read_index(taught[0] / INDEX)
    parts = [{face.path.stem[:4] for face in part.faces} for part in vars(data).values()]
    assert min(map(len, parts)) >= 6
    assert len(set.union(*parts)) == sum(map(len, parts))


def test_odd_faces_of_unseen_people_are_found(taught: tuple[Path, Trained]) -> None:
    assert taught[1].metrics["fec"]["accuracy"] >= 0.9


def test_expressions_of_unseen_people_are_told(taught: tuple[Path, Trained]) -> None:
    assert taught[1].metrics["affectnet"]["accuracy"] >= 0.8
