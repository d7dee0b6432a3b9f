"""What is said of people is said of these people."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from published_run import results, scores
from test_figures_table import HOSTILE, page

from affectflow.dataset.about import about
from affectflow.dataset.layouts import daisee
from affectflow.demo.corpus import write_corpus
from affectflow.demo.plan import plan_corpus
from affectflow.evaluation.tables import results_table
from affectflow.figures.comparison import comparisons_html
from affectflow.figures.page import NOTES
from affectflow.figures.published_table import published_html
from affectflow.figures.sweep import sweep_html
from affectflow.figures.table import results_html
from affectflow.published import numbers
from affectflow.published.compare import compare


def test_daisees_people_are_daisees_alone(tmp_path: Path) -> None:
    root = {"root": str(tmp_path)}
    assert about({"layout": "daisee", **root}) == list(daisee.ABOUT)
    assert about({"layout": "daisee", "root": str(tmp_path / "none")}) == list(daisee.ABOUT)
    assert about({"layout": "manifest", **root, "clips": "clips.csv", "about": None}) == []
    assert about({"layout": "manifest", "root": None}) == []


def test_the_config_goes_before_the_folders_file_and_that_before_the_layout(tmp_path: Path) -> None:
    (tmp_path / "about.txt").write_bytes(
        "\ufeffForty  students.\r\n\r\nThey \tvoted. \xff".encode()
    )
    for layout in ("daisee", "manifest"):
        settings = {"layout": layout, "root": str(tmp_path)}
        assert about(settings) == ["Forty students.", "They voted. \xff"]
        assert about({**settings, "about": "Ten\npeople.\n"}) == ["Ten people."]
        assert about({**settings, "about": " \n"}) == about(settings)
    manifest = {"layout": "manifest", "root": None, "clips": str(tmp_path / "clips.csv")}
    assert about(manifest)[0] == "Forty students.", "a manifest's root is its own folder"
    (tmp_path / "about.txt").write_text("a" * 10**6)
    assert len(about({"layout": "daisee", "root": str(tmp_path)})[0]) == 4000
    (tmp_path / "about.txt").write_bytes(b"\xff\xfe not UTF-8")
    assert "not UTF-8" in about({"layout": "daisee", "root": str(tmp_path)})[0]


def test_of_the_demos_people_it_is_said_that_there_are_none(tmp_path: Path) -> None:
    write_corpus(plan_corpus(1)[:1], tmp_path / "corpus", 1, 1, 3)
    said = " ".join(about({"layout": "daisee", "root": str(tmp_path / "corpus")}))
    assert "Nobody took part" in said
    assert "Asian" not in said and "crowd" not in said


RESULTS = results({"experiment_6": scores(0.6)})
CHOICE = {"by": "kappa", "chosen": "a", "values": {"a": 0.5}}


@pytest.mark.parametrize("said", [[], [HOSTILE, "Forty students."], daisee.ABOUT])
def test_every_page_with_numbers_says_it_and_nothing_else(said: list[str]) -> None:
    rows = compare(RESULTS, numbers.levels(), "daisee")
    pairs = pandas.DataFrame(columns=["first", "second", "split", "metric", "state"])
    sweep = ("s", CHOICE, {"a": {"x": 1}}, {"a": ["a"]}, RESULTS, RESULTS.head(0))
    pages = [
        results_html(results_table({}), about=said),
        comparisons_html(pairs, about=said),
        sweep_html(*sweep, about=said),
        published_html(rows, about=said),
    ]
    for html in pages:
        text = page(html).text
        assert all(note in text for note in [*NOTES, *said])
        assert ("Asian" in text) == (said is daisee.ABOUT)
        assert ("crowd votes" in text) == (said is daisee.ABOUT)
