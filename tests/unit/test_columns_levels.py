"""Which levels a column has: from 0 or from 1, those that occur, words of a known order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_columns import engagement

from affectflow.dataset.levels import NO_LEVEL
from affectflow.errors import UserError


@pytest.mark.parametrize("levels", [["0", "1", "3"], ["1", "2", "4"], ["0", "4"]])
def test_levels_that_no_clip_has_are_told(levels: list[str]) -> None:
    found = engagement(levels * 5)
    assert found.task is not None
    first = min(int(levels[0]), 1)
    assert found.task.levels == tuple(str(code) for code in range(first, int(levels[-1]) + 1))
    assert f"dataset.tasks.engagement.levels: [{', '.join(levels)}]" in found.line()


@given(st.lists(st.integers(1, 7), min_size=2).filter(lambda seen: len({*seen}) > 1), st.booleans())
def test_levels_begin_with_1_where_no_clip_has_0(seen: list[int], zero: bool) -> None:
    seen = [*range(1, 5), *seen, *[0] * zero]
    found = engagement([str(level) for level in seen])
    assert found.task is not None
    assert found.task.levels == tuple(map(str, range(1 - zero, max(seen) + 1)))
    assert [found.task.levels[code] for code in found.values] == [str(level) for level in seen]
    assert ("no clip has 0, so the levels are 1 to" in found.line()) != zero
    declared = engagement([str(level) for level in seen], levels=max(seen) + 1)
    assert declared.values == tuple(seen)


def test_one_level_alone_is_told_and_counted_from_0() -> None:
    found = engagement(["1", "1"])
    assert found.task is not None and found.task.levels == ("0", "1")
    assert "every label is 1, so nothing is learnt of it" in found.line()


@pytest.mark.parametrize(
    ("cells", "levels", "values"),
    [
        ("1 2 3 4 5", "1 2 3 4 5", (0, 1, 2, 3, 4)),
        ("1 3 5 -1 99", "1 2 3 4 5", (0, 2, 4, NO_LEVEL, NO_LEVEL)),
        ("0 1 4", "0 1 2 3 4", (0, 1, 4)),
        ("1 2 4", "0 1 2 3 4", (1, 2, 4)),
        ("0 1 5", "0 1 2 3 4", (0, 1, NO_LEVEL)),
    ],
)
@pytest.mark.parametrize("kind", ["ordinal", "nominal"])
def test_a_number_of_levels_is_from_1_where_the_labels_are(
    cells: str, levels: str, values: tuple, kind: str
) -> None:
    found = engagement(cells.split(), levels=5, kind=kind)
    assert found.task is not None and found.task.levels == tuple(levels.split())
    assert found.values == values
    beyond = values.count(NO_LEVEL)
    assert (f"{beyond} of no such level" in found.line()) == bool(beyond)
    assert ("no clip has 0, so the levels are 1 to 5" in found.line()) == (levels[0] == "1")


def test_listed_levels_are_as_they_are_listed() -> None:
    assert engagement(["1", "5", "0"], levels=[1, 2, 3, 4, 5]).values == (0, 4, NO_LEVEL)
    found = engagement(["1", "2", "3"], levels=[0, 1, 2, 3])
    assert found.values == (1, 2, 3) and "so the levels" not in found.line()


def test_numbers_of_a_nominal_task_are_those_that_occur() -> None:
    found = engagement(["1", "2", "4", "1"], kind="nominal")
    assert found.task is not None
    assert (found.task.kind, found.task.levels) == ("nominal", ("1", "2", "4"))
    assert found.values == (0, 1, 2, 0)
    assert "levels without an order: 1, 2, 4" in found.line()
    for code in ("99", "-1"):
        with pytest.raises(UserError, match=f"'{code}' among levels 1 to 3: a level, or a code"):
            engagement(["1", "2", "3", code], kind="nominal")


SCALE = ["very low", "low", "Medium", "high", "Very-High"]


@given(st.sets(st.sampled_from(SCALE), min_size=2), st.randoms())
def test_words_of_a_known_scale_are_in_order(words: set[str], random: Any) -> None:
    names = sorted(words, key=SCALE.index)
    cells = names * 3
    random.shuffle(cells)
    for settings in ({}, {"kind": "ordinal"}):
        found = engagement(cells, **settings)
        assert found.task is not None
        assert (found.task.kind, found.task.levels) == ("ordinal", tuple(names))
        assert [names[code] for code in found.values] == cells
        assert "read as levels in this order" in found.line()
    nominal = engagement(cells, kind="nominal")
    assert nominal.task is not None and nominal.task.kind == "nominal"


@pytest.mark.parametrize(
    "words", [["low", "high", "bored"], ["low", "medium", "moderate"], ["calm", "sad", "yes"]]
)
def test_other_words_have_no_order(words: list[str]) -> None:
    found = engagement(words * 4)
    assert found.task is not None and found.task.kind == "nominal"
    assert "if they have an order, list them lowest first: dataset.tasks" in found.line()
    assert "yes" not in words or "[calm, sad, 'yes']" in found.line()
    with pytest.raises(UserError, match="their order is not known"):
        engagement(words * 4, kind="ordinal")
