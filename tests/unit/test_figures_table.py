import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from affectflow.dataset.tasks import Task
from affectflow.evaluation.report import evaluate
from affectflow.evaluation.tables import results_table
from affectflow.figures.table import MOST_ROWS, RANDOM, UNTESTED, audit_html, results_html

HOSTILE = "<script>alert('x')</script>&\"<img src=x onerror=y>"
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and whether every tag is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.attributes = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def page(html):
    parsed = Page(html)
    assert parsed.open == []
    assert not {"script", "img", "link", "iframe"} & set(parsed.tags)
    assert not {"src", "href", "onerror", "onload"} & set(parsed.attributes)
    assert "url(" not in html
    return parsed


def scored(predicted, label=(0, 1, 2, 1), name="engagement", kind="ordinal", subjects=12):
    """Metrics of clips that are shown three times, by so many subjects in turn."""
    task = Task(name, kind, ("low", "middle", "high"))
    rows = []
    for split in ("train", "test"):
        for i, (truth, guess) in enumerate(3 * list(zip(label, predicted, strict=True))):
            subject = f"{split}{i % subjects}"
            rows.append((f"{split}{i}", subject, split, name, truth, guess))
    columns = ["clip_id", "subject", "split", "task", "label", "predicted"]
    predictions = pd.DataFrame(rows, columns=columns)
    clips = predictions.rename(columns={"label": name})
    return evaluate(predictions, clips[["clip_id", "subject", "split", name]], [task], resamples=50)


def test_results_show_values_floors_and_flags():
    table = results_table({"good": scored((0, 1, 2, 1)), "flat": scored((1, 1, 1, 1))})
    html = results_html(table)
    text = page(html).text
    assert "1.000 ▲ [1.000, 1.000]" in text
    assert "floor 0.500" in text  # accuracy of always level 1
    assert "12 of 12" in text
    assert text.count("predicts one level") == 2  # "flat", in both splits
    assert html.index("test split") < html.index("train split")
    assert RANDOM not in text
    assert "Article 5(1)(f)" in text
    assert "80 of 112" not in text, "of a data set that does not say so"


def test_a_page_without_a_test_says_so():
    results = results_table({"a": scored((0, 1, 2, 1))})
    assert UNTESTED not in page(results_html(results)).text
    assert UNTESTED in page(results_html(results[results["split"] == "train"])).text
    untested = results.assign(n_scored=results["n_scored"].where(results["split"] != "test", 0))
    assert UNTESTED in page(results_html(untested)).text


def test_random_weights_are_said_in_plain_words():
    table = results_table({"a": scored((0, 1, 2, 1)), "b": scored((0, 1, 2, 1))})
    text = page(results_html(table, ["a"])).text
    assert RANDOM in text
    assert text.count("random weights") == 2 + 1  # experiment a in both splits, and the note
    assert RANDOM not in page(results_html(table, ["another"])).text


def test_hostile_names_are_escaped():
    table = results_table({HOSTILE: scored((0, 1, 2, 1), name=HOSTILE, kind="nominal")})
    text = page(results_html(table, [HOSTILE])).text
    assert text.count(HOSTILE) == 4
    audit = pd.DataFrame(
        [[HOSTILE] * 5], columns=["clip_id", "subject", "split", "status", "detail"]
    )
    assert page(audit_html(audit)).text.count(HOSTILE) == 5 + 2


@pytest.mark.parametrize("subjects", [1, 5, 12])
def test_nothing_is_above_its_floor_for_too_few_subjects(subjects):
    table = results_table({"a": scored((0, 1, 2, 1), subjects=subjects)})
    text = page(results_html(table)).text
    assert ("1.000 ▲" in text) == (subjects == 12)
    assert ("no interval: one subject" in text) == (subjects == 1)


def test_nothing_is_marked_where_something_was_chosen_or_learnt():
    # The training split's rows are as good as the test split's.
    html = results_html(results_table({"a": scored((0, 1, 2, 1))}))
    test, train = html.split("<details>")
    assert "1.000 ▲" in test and "1.000 " in train and "▲" not in train


def test_an_interval_that_lost_many_resamples_says_so():
    # Level 2 is of one subject of twelve, and a third of all resamples are without it.
    metrics = scored((0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 2), (0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 2))
    table = results_table({"a": metrics}).set_index(["split", "metric"])
    for metric in ("macro_f1", "balanced_accuracy", "floor_macro_f1", "recall_level_2"):
        assert "of 50 resamples" in table.loc[("test", metric), "ci_warning"]
        assert metrics["splits"]["test"]["engagement"]["metrics"][metric]["resamples_defined"] < 47
    assert table.loc[("test", "kappa"), "ci_warning"] == ""
    text = page(results_html(table.reset_index())).text
    test = text.split("test split: subjects")[1].split("train split")[0]
    assert test.count("of 50 resamples") == 2


def test_no_experiment_is_a_page_too():
    assert "No experiment was scored" in page(results_html(results_table({}))).text


def test_audit_counts_per_status_and_split():
    rows = [("c1", "s1", "train", "no_face"), ("c2", "s1", "train", "no_face")]
    rows += [("c3", "s2", "test", "undecodable"), ("c4", "", "", "no_video")]
    audit = pd.DataFrame(rows, columns=["clip_id", "subject", "split", "status"]).assign(detail="d")
    html = audit_html(audit)
    page(html)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in html.split("<tr>")]
    assert ["status", "no split", "test", "train", "total"] in cells
    assert ["no_face", "0", "0", "2", "2"] in cells
    assert ["total", "1", "1", "2", "4"] in cells
    assert ["c3", "s2", "test", "undecodable", "d"] in cells


def test_audit_without_rows_and_with_too_many():
    audit = pd.DataFrame({name: ["x"] for name in ("clip_id", "split", "status")})
    assert "every clip and label is used" in page(audit_html(audit[:0])).text
    many = pd.concat([audit] * (MOST_ROWS + 5))
    assert "And 5 more" in page(audit_html(many)).text


def test_equal_results_are_equal_pages():
    make = lambda: results_html(results_table({"a": scored((0, 1, 2, 1))}), ["a"])  # noqa: E731
    assert make() == make()
