"""What a column of a label table means: told, guessed where it can't well be wrong, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_columns import columns, engagement

from affectflow.dataset.cells import spelling
from affectflow.dataset.levels import NO_LEVEL
from affectflow.dataset.no_label import EITHER, NoLabel
from affectflow.errors import UserError

WHOLE = ["0", "1", "2", "3"] * 5
NOTHING = [
    *("", "NA", "na", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "nil", "-", "--", "?"),
    *(".", "...", "\N{EN DASH}", "#N/A", "#NA", "#VALUE!", "<NA>", "missing", "Unknown", "NaT"),
    *("n.a.", "not available", "SNP(Subject Not Present)", "(null)", "#DIV/0!", "-nan", "-1.#IND"),
    *("#WERT!", "#NV", "k.A.", "no-data", "not_rated", "Face not visible", "no_face-detected", "_"),
]


@pytest.mark.parametrize("word", NOTHING)
def test_missing_words_are_no_level(word: str) -> None:
    found = engagement([*WHOLE, word])
    assert found.task is not None
    assert (found.task.kind, found.task.levels) == ("ordinal", ("0", "1", "2", "3"))
    assert found.values == (*(int(cell) for cell in WHOLE), None)
    assert f"1 missing ('{word}' 1)" in found.line()


@pytest.mark.parametrize("word", [word for word in NOTHING if spelling(word) not in EITHER])
def test_missing_words_are_no_class_among_words(word: str) -> None:
    found = engagement([*(["calm", "happy"] * 8), word])
    assert found.task is not None
    assert (found.task.kind, found.task.levels) == ("nominal", ("calm", "happy"))
    assert found.values[-1] is None


@pytest.mark.parametrize("word", ["none", "Nil", "unknown", "no person"])
def test_a_word_that_may_be_a_level_is_asked_about(word: str) -> None:
    cells = [*(["low", "high"] * 8), word]
    with pytest.raises(
        UserError, match=rf"row 18, column engagement: '{word}' among words"
    ) as told:
        engagement(cells)
    assert f"dataset.tasks.engagement.missing: [{word}]" in str(told.value)
    assert engagement(cells, missing=[word]).values[-1] is None
    listed = engagement(cells, levels=[word, "low", "high"])
    assert listed.task is not None and listed.task.kind == "ordinal"
    assert listed.values[-1] == 0


@pytest.mark.parametrize(
    ("codes", "mend"),
    [
        (["-1"], "[-1]"),
        (["99"], "[99]"),
        (["-1", "99"], "[-1, 99]"),
        (["-9", "-9"], "[-9]"),
        (["999"], "[999]"),
        (["9"], "[9]"),
        (["-1.0"], "[-1]"),
        (["8", "9"], "[8, 9]"),
    ],
)
def test_codes_among_levels_are_refused_with_what_mends_it(codes: list[str], mend: str) -> None:
    cells = [*WHOLE, *codes]
    with pytest.raises(UserError, match=rf"row 22, column engagement: '{codes[0]}' among") as told:
        engagement(cells)
    assert f"dataset.tasks.engagement.missing: {mend}" in str(told.value)
    missing = [int(float(code)) for code in codes]
    for mended in ({"missing": missing}, {"tasks": {"engagement": {"missing": missing}}}):
        found = columns(mended, engagement=cells)["engagement"]
        assert found.task is not None
        assert found.task.levels == ("0", "1", "2", "3")
        assert found.values == (*map(int, WHOLE), *(None,) * len(codes))


@given(st.integers(-9, 9), st.integers(-9, 9), st.sampled_from(["{}", "{}.0", "{}%"]))
def test_a_number_that_is_missing_is_no_other(code: int, other: int, form: str) -> None:
    missing = NoLabel([form.format(code)])
    assert missing(form.format(other)) == (code == other)
    assert missing(f"{other}%") == (code == other and "%" in form)


@pytest.mark.parametrize(
    ("levels", "code"), [("0 1 5", "5"), ("1 2 6", "6"), ("0 1 2 3 4 5 8", "8"), ("1 8", "8")]
)
def test_a_number_above_a_gap_is_asked_about(levels: str, code: str) -> None:
    with pytest.raises(UserError, match=f"'{code}' among levels .*: a level, or a code") as told:
        engagement(levels.split() * 3)
    assert f"levels: [{levels.replace(' ', ', ')}]" in str(told.value)


@pytest.mark.parametrize("code", ["-1", "99"])
def test_a_code_among_fractions_is_asked_about(code: str) -> None:
    cells = ["0", "0.33", "0.66", "1"] * 3
    with pytest.raises(UserError, match=rf"row 14, .*: '{code}' among levels 0 to 1: a level, or"):
        engagement([*cells, code])
    found = engagement([*cells, code], missing=[int(code)])
    assert found.values == (*(0, 1, 2, 3) * 3, None)


def test_spellings_of_a_level_are_one() -> None:
    cells = ["engaged"] * 5 + ["Engaged", "ENGAGED", "not-engaged", "Not engaged", "not-engaged"]
    cells += ["cafe\N{COMBINING ACUTE ACCENT}", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"] * 4
    found = engagement(cells)
    assert found.task is not None
    assert found.task.levels == ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "engaged", "not-engaged")
    assert "'Engaged' read as 'engaged'" in found.line()
    assert found.values[4] == found.values[5] == 1


def test_spellings_that_are_listed_are_levels_of_their_own() -> None:
    found = engagement(["a", "A", "a"], levels=["A", "a"])
    assert found.values == (1, 0, 1)


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["0", ".33", "0.66", "1", "0.330"], ("0", "0.33", "0.66", "1")),
        (["0", "0.3333", "0.6667", "1.0", "0.3333"], ("0", "0.3333", "0.6667", "1")),
        (["0", "0.5", "1", "1", ".5"], ("0", "0.5", "1")),
        (["0", "0.25", "0.5", "0.75", "1"], ("0", "0.25", "0.5", "0.75", "1")),
    ],
)
def test_even_fractions_of_one_are_levels_in_order(cells: list[str], names: tuple) -> None:
    found = engagement(cells)
    assert found.task is not None
    assert (found.task.kind, found.task.levels) == ("ordinal", names)
    assert list(found.values) == [round(float(cell) * (len(names) - 1)) for cell in cells]
    assert "read as levels in this order" in found.line()


@pytest.mark.parametrize(
    "cells", [[*WHOLE, "1.67"], [*WHOLE, "1.5"], ["0.12", "0.57", "1"], ["0", "0.5", "0.7", "1"]]
)
def test_other_fractions_are_refused_and_may_be_real(cells: list[str]) -> None:
    with pytest.raises(UserError, match="is not a level: it is a fraction") as told:
        engagement(cells)
    assert "dataset.tasks.engagement.kind: real" in str(told.value)
    found = engagement(cells, kind="real")
    assert found.task is not None
    assert (found.task.kind, found.task.levels) == ("real", ())
    assert found.values == tuple(float(cell) for cell in cells)
    assert "real-valued from" in found.line()


def test_declared_fractions_take_any_spelling() -> None:
    found = engagement(["0", ".33", "0.330", "0.3333", "1.0"], levels=[0, 0.33, 0.66, 1])
    assert found.task is not None
    assert found.task.levels == ("0", "0.33", "0.66", "1")
    assert found.values == (0, 1, 1, 1, 3)
    with pytest.raises(UserError, match=r"'0.5' is not a level"):
        engagement(["0", "0.5"], levels=[0, 0.33, 0.66, 1])


def test_real_values_are_numbers() -> None:
    assert engagement(["-0.5", "NA", "1e-1"], kind="real").values == (-0.5, None, 0.1)
    with pytest.raises(UserError, match=r"row 3, column engagement: 'high' is not a number"):
        engagement(["1.5", "high"], kind="real")
    with pytest.raises(UserError, match="a real-valued task has no levels"):
        engagement(["1.5", "2"], kind="real", levels=3)


def test_declared_number_of_levels() -> None:
    assert engagement(["0", "4", "-1"], levels=4).values == (0, NO_LEVEL, NO_LEVEL)
    with pytest.raises(UserError, match=r"'1.5' is not a level"):
        engagement(["0", "1.5"], levels=4)
    with pytest.raises(UserError, match="'two' is not a level"):
        engagement(["0", "two"], levels=4)
    with pytest.raises(UserError, match="'low' is not a level"):
        engagement(["low", "high"], levels=2)


def test_words_among_numbers_are_refused() -> None:
    with pytest.raises(UserError, match=r"row 22, column engagement: 'two'") as told:
        engagement([*WHOLE, "two"])
    assert "dataset.tasks.engagement.missing: [two]" in str(told.value)
    with pytest.raises(UserError, match=r"'3' is not a level: it stands among words"):
        engagement(["calm", "happy"] * 9 + ["3"])


def test_percentages_are_numbers() -> None:
    found = engagement(["0%", "50 %", "100%"])
    assert found.task is not None
    assert (found.task.kind, found.task.levels) == ("ordinal", ("0", "0.5", "1"))
    assert engagement(["12%", "57%", "0"], kind="real").values == (0.12, 0.57, 0.0)
    with pytest.raises(UserError, match="'1%' is not a level: it is a fraction"):
        engagement(["0%", "1%", "2%"])


@pytest.mark.parametrize("settings", [{}, {"kind": "real"}, {"levels": [0, 0.5, 1]}])
def test_percentages_beside_other_numbers_are_refused(settings: dict) -> None:
    with pytest.raises(UserError, match=r"row 4, .*: '1' stands among percentages"):
        engagement(["0", "50%", "1"], **settings)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("notes", ["blurry", "dark"] * 10),
        ("engagement_notes", ["1", "2"] * 10),
        ("age", ["18", "19"] * 10),
        ("Gender", ["f", "m"] * 10),
        ("annotatorID", ["1", "2"] * 10),
        ("seen", [f"looks away after {n} s" for n in range(20)]),
        ("seen", ["turns to the window and then talks", "looks at the screen all the time"] * 10),
        ("seen", [""] * 17 + ["blurry", "dark", "dark"]),
        ("seen", ["one", "two"] + [""] * 18),
        ("seen", ["2024-01-03", "2024-01-04"] * 10),
        ("seen", ["12:30", "14:05"] * 10),
        ("seen", ["a/b.csv", "c/d.csv"] * 10),
        ("seen", [f"P{n:02}" for n in range(20)]),
        ("seen", ["webcam"] * 20),
        ("seen", [str(n) for n in range(20)]),
        ("seen", [str(20 - n) for n in range(20)]),
        ("Unnamed: 0", ["1", "2"] * 10),
        ("seen", [""] * 20),
        ("seen", ["NA"] * 20),
    ],
)
def test_what_stands_beside_labels_is_no_task(name: str, cells: list[str]) -> None:
    found = columns(engagement=WHOLE, **{name: cells})
    assert found[name].task is None
    assert found[name].line().startswith(f"{name}: not a task (")
    assert found["engagement"].task is not None
    with pytest.raises(UserError, match=f"has no task column; {name}: not a task"):
        columns(**{name: cells})


def test_columns_that_differ_by_capitals_or_blanks_are_asked_about() -> None:
    cells = {"engagement": WHOLE, "Engagement ": WHOLE}
    with pytest.raises(UserError, match="engagement and Engagement  differ by capitals or blanks"):
        columns(**cells)
    found = columns({"tasks": {"engagement": None}}, **cells)
    assert [name for name, column in found.items() if column.task] == ["engagement"]
    assert columns({}, note=WHOLE, Note=WHOLE, engagement=WHOLE)["engagement"].task


def test_a_named_column_is_a_task_whatever_its_name() -> None:
    found = columns({"tasks": {"notes": None}}, engagement=WHOLE, notes=["blurry", "dark"] * 10)
    assert found["notes"].task is not None
    assert found["notes"].task.levels == ("blurry", "dark")
    assert found["engagement"].line() == "engagement: not a task (not named under dataset.tasks)"


@pytest.mark.parametrize(
    ("name", "column"), [("my  mood", "my mood"), ("Zoe\u0308", "Zo\u00eb"), (1, "1")]
)
def test_a_column_is_named_whatever_its_blanks_and_encoding(name: object, column: str) -> None:
    assert columns({"tasks": {name: {"levels": 4}}}, **{column: WHOLE})[column].task


def test_words_that_say_who_it_is_are_no_task() -> None:
    subjects = [f"s{n // 4}" for n in range(20)]
    who = [("x", "y")[n // 4 % 2] for n in range(20)]
    found = columns({}, subjects, engagement=WHOLE, group=who, where=["home", "school"] * 10)
    assert found["group"].task is None
    assert "the same for all clips of each subject" in found["group"].line()
    assert found["where"].task is not None


@pytest.mark.parametrize(
    "cells", [[str(n) for n in range(18, 38)], [str(n * 97) for n in range(20)]]
)
def test_numbers_that_are_hardly_levels_are_refused(cells: list[str]) -> None:
    with pytest.raises(UserError, match="is it a task") as told:
        columns(engagement=WHOLE, seen=cells)
    assert "Name the columns that are tasks under dataset.tasks" in str(told.value)


def test_booleans_in_any_case_are_two_levels() -> None:
    found = engagement(["TRUE", "True", "False", "False", "true", "true"])
    assert found.task is not None and found.task.levels == ("False", "true")


@given(
    st.lists(st.sampled_from(["0", "1", "2", "3", "2.0", "NA", "", " 1 ", "n/a"]), min_size=1),
    st.permutations(range(4)),
)
def test_whole_levels_keep_their_numbers(cells: list[str], order: list[int]) -> None:
    cells = [*cells, *(str(code) for code in order)]
    found = engagement(cells)
    assert found.task is not None and found.task.levels == ("0", "1", "2", "3")
    for cell, value in zip(cells, found.values, strict=True):
        assert value is None if NoLabel()(cell) else value == float(cell)


@given(st.text(max_size=12), st.integers(0, 20))
def test_no_cell_is_a_traceback(cell: str, place: int) -> None:
    cells = [*WHOLE[:place], cell, *WHOLE[place:]]
    try:
        found = engagement(cells)
    except UserError:
        return
    assert found.task is None or set(found.task.levels) <= {str(code) for code in range(50)}
