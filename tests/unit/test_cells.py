"""What one cell of a table says: a number, a word in one of its spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.dataset.cells import dotted, number, spelling


@given(
    st.floats(-1e6, 1e6),
    st.sampled_from(["{:f}", "{:.15g}", "{:+e}"]),
    st.sampled_from(["{}", "'{}", " {} ", "{}%", "{} %"]),
    st.sampled_from(["-", "\N{MINUS SIGN}"]),
)
def test_a_number_is_its_value_however_it_is_written(
    value: float, digits: str, around: str, minus: str
) -> None:
    written = digits.format(value)
    share = 100 if "%" in around else 1
    assert number(around.format(written.replace("-", minus))) == float(written) / share


@pytest.mark.parametrize(
    "cell", ["", "a", "5'", "3\u00b2", "3\u2082", "1-2", "1,5", "1e999", "--1", "nan", "inf", "%"]
)
def test_what_is_no_number(cell: str) -> None:
    assert number(cell) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [("not-engaged", "Not  engaged"), ("level_1", "Level 1"), ("1-low", "1 LOW"), ("a - b", "a_b")],
)
def test_spellings_of_one_word(one: str, other: str) -> None:
    assert spelling(one) == spelling(other)


@pytest.mark.parametrize(
    ("one", "other"), [("-1", "1"), ("A-", "A"), ("1-2", "12"), ("level -1", "level 1"), ("-", "")]
)
def test_a_minus_is_no_hyphen(one: str, other: str) -> None:
    assert spelling(one) != spelling(other)


@pytest.mark.parametrize(
    ("cells", "certain", "expected"),
    [
        (["0,5", "1", ""], False, ["0.5", "1", ""]),
        (["1,500", "2"], False, ["1,500", "2"]),  # a thousand and a half?
        (["1,500", "2"], True, ["1.500", "2"]),
        (["0,333", "0,667"], False, ["0.333", "0.667"]),
        (["1,1E+09"], False, ["1.1E+09"]),
        (["1,5", "a", "NA", "b,c"], False, ["1.5", "a", "NA", "b,c"]),  # words have no digit
        (["1,5", "a1"], False, ["1,5", "a1"]),
        (["1,5", "2,5 and more"], False, ["1,5", "2,5 and more"]),
        (["1,500", "NA"], False, ["1,500", "NA"]),
        (["12,5%", "50 %"], False, ["12.5%", "50 %"]),
        (["1,5", "1.5"], False, ["1,5", "1.5"]),
        (["1,100,011"], True, ["1,100,011"]),
        (["a,b"], True, ["a,b"]),
    ],
)
def test_decimal_commas(cells: list[str], certain: bool, expected: list[str]) -> None:
    assert dotted(cells, certain) == expected
