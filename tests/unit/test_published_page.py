import re
import warnings
from html import escape
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from published_run import results, scores
from test_figures import losses as history
from test_figures import metrics, nothing_scored, texts
from test_figures_captions import render
from test_figures_table import HOSTILE, page

from affectflow.dataset.tasks import DAISEE_TASKS
from affectflow.evaluation.spread import spread
from affectflow.figures import baselines, engagement, losses, style
from affectflow.figures.published_table import NOTHING, RANDOM, published_html
from affectflow.published import numbers
from affectflow.published.compare import compare


def compared(experiments, levels=None, layout="daisee"):
    return compare(results(experiments), numbers.levels() if levels is None else levels, layout)


def cells(html, table):
    """The texts of a table's cells, row by row."""
    part = html.split(f"<h2>Table {table}:")[1].split("</table>")[0]
    rows = part.split("<tr>")[1:]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


# The page


def test_the_page_has_all_tables_in_order():
    html = published_html(compared({"experiment_6": scores(0.6)}))
    text = page(html).text
    found = re.findall(r"<h2>Table (4\.\d+):", html)
    assert found == list(numbers.tables())
    assert "Abraham" in text
    assert "Article 5(1)(f)" in text
    assert RANDOM not in text


def test_a_row_has_published_ours_and_the_difference():
    html = published_html(compared({"experiment_6": scores(0.6), "experiment_3": scores(0.4634)}))
    rows = {row[0]: row[1:] for row in cells(html, "4.4")}
    assert rows["experiment_6"][:2] == [
        "57.58",
        "60.00 (+2.42)<br><span class=range>[55.00, 65.00]</span>",
    ]
    assert rows["experiment_1"][2] == "NA"
    assert "not run" in rows["experiment_5"][1]
    # No difference is neither more nor less.
    boredom = {row[0]: row[1:] for row in cells(html, "4.3")}
    assert boredom["experiment_3"][1].startswith("46.34 (0)<br>")


def test_baselines_have_a_published_number_alone():
    rows = {
        row[0]: row[1:]
        for row in cells(published_html(compared({"experiment_3": scores(0.5)})), "4.7")
    }
    assert rows["boredom"][1] == "53.7"
    assert len(rows["boredom"]) == 2 + 3 * 2


def test_slips_are_noted_where_they_show():
    html = published_html(compared({"experiment_6": scores(0.6)}))
    assert "23<sup>1</sup>" in html
    text = page(html).text
    assert "Printed as 2; the row adds up" in text
    assert "too good to be true of new clips" in text
    for table in numbers.notes()["note"]:
        assert escape(table) in html
    # A superscript leads to the note of that number below the same table.
    part = html.split("<h2>Table 4.6:")[1].split("<h2>")[0]
    marks = set(re.findall(r"<sup>(\d+)</sup>", part))
    items = part.split("<ol>")[1].split("</ol>")[0].count("<li>")
    assert marks == {str(number) for number in range(1, items + 1)}


def test_ours_that_is_a_constant_or_random_is_flagged():
    rows = compared({"experiment_3": scores(0.5, interval=False, collapsed=1)})
    text = page(published_html(rows, ["experiment_3"])).text
    assert "50.00 (+3.66)predicts one level" in text
    assert RANDOM in text
    assert RANDOM not in page(published_html(rows, ["experiment_4"])).text


def test_each_number_of_random_weights_and_each_mean_is_flagged():
    runs = {f"experiment_2-seed_{n}": scores(0.5) for n in (1, 2)}
    run = results(runs | {"experiment_1": scores(0.5), "experiment_3": scores(0.5)})
    random = ["experiment_1", "experiment_2"]
    over_seeds = spread(run, {"experiment_2": list(runs)})
    html = published_html(compare(run, numbers.levels(), "daisee", random, over_seeds), random)
    assert RANDOM in page(html).text
    rows = {row[0]: row[1:] for row in cells(html, "4.3")}
    ours = {name: row[1::2] for name, row in rows.items() if name.startswith("experiment_")}
    flag = "<br><span class=flag>random weights</span>"
    assert all(flag in text for text in ours["experiment_1"] + ours["experiment_2"])
    assert not any(flag in text for text in ours["experiment_3"])
    assert (
        ours["experiment_2"][0] == f"50.00 (+8.67){flag}<br><span class=flag>2 seeds ± 0.00</span>"
    )


def test_other_labels_than_the_published_ones_are_said():
    levels = numbers.levels()
    said = "not those of Table 4.1"
    assert said not in published_html(compared({"experiment_6": scores(0.6)}, levels))
    levels.loc[levels["split"] == "test", "total"] = 12
    html = published_html(compared({"experiment_6": scores(0.6)}, levels))
    assert said in html
    assert "12 labelled test clips here, 1,784 published" in html
    none = published_html(compared({"experiment_6": scores(0.6)}, levels[:0]))
    assert "no labelled test clips here" in none


@pytest.mark.parametrize(
    ("names", "layout"), [(["lstm"], "daisee"), ([], "daisee"), (["experiment_6"], "manifest")]
)
def test_a_study_without_its_experiments_is_a_page_too(names, layout):
    html = published_html(compared({name: scores(0.5) for name in names}, layout=layout))
    parsed = page(html)
    assert NOTHING in parsed.text
    assert "table" not in parsed.tags


def test_hostile_texts_are_escaped():
    run = {"experiment_6": scores(0.6), HOSTILE: scores(0.9)}
    table = results(run, states=["boredom", HOSTILE])
    page(published_html(compare(table, numbers.levels(), "daisee"), [HOSTILE]))
    rows = compared(run)
    hostile = rows.assign(ours_note=HOSTILE, note=HOSTILE, choice=HOSTILE, split=HOSTILE)
    assert HOSTILE in page(published_html(hostile)).text


def test_equal_runs_are_equal_pages():
    pages = {published_html(compared({"experiment_6": scores(0.6)})) for _ in range(2)}
    assert len(pages) == 1


# The figures

RUN = {"experiment_2": scores(0.5), "experiment_4": scores(0.6, interval=False)}
FIGURES = {
    "baselines": lambda: baselines.draw(results(RUN), "daisee"),
    "baselines, not run": lambda: baselines.draw(results({}), "daisee"),
    "baselines, not scored": lambda: baselines.draw(
        results({"experiment_2": scores(np.nan, (np.nan,) * 4)}), "daisee"
    ),
    "baselines, hostile names": lambda: baselines.draw(
        results({HOSTILE: scores(0.5)} | RUN, states=["boredom", "$x^{"]), "daisee"
    ),
    "baselines, another study": lambda: baselines.draw(results(RUN), "manifest"),
    "losses": lambda: losses.draw({f"experiment_{n}": history(100) for n in (2, 3, 4)}),
    "losses, not run": lambda: losses.draw({}),
    "losses, other experiments": lambda: losses.draw({HOSTILE: history(3)}),
    "losses, no epoch and no validation": lambda: losses.draw(
        {"experiment_2": history(0), "experiment_3": history(1, validation=False)}
    ),
    "losses, nothing but NaN": lambda: losses.draw(
        {"experiment_2": history(3).assign(train_loss=np.nan, validation_loss=np.nan)}
    ),
    "engagement": lambda: engagement.draw(
        {f"experiment_{n}": metrics(DAISEE_TASKS) for n in (3, 4, 11)}
    ),
    "engagement, not run": lambda: engagement.draw({}),
    "engagement, collapsed": lambda: engagement.draw(
        {"experiment_9": metrics(DAISEE_TASKS, predict=2)}
    ),
    "engagement, another state": lambda: engagement.draw(
        {"experiment_9": metrics(DAISEE_TASKS[:1]), HOSTILE: metrics(DAISEE_TASKS)}
    ),
    "engagement, not scored": lambda: engagement.draw(
        {"experiment_9": nothing_scored(DAISEE_TASKS)}
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_render_whatever_was_run(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        style.save(FIGURES[name](), tmp_path / "figure.png")
    pixels = matplotlib.image.imread(tmp_path / "figure.png")
    assert (pixels[..., :3] < 0.9).any()


@pytest.mark.parametrize("name", ["baselines", "losses", "engagement"])
def test_figures_are_equal_bytes_and_xml(name, tmp_path):
    for copy in ("one.svg", "two.svg"):
        style.save(FIGURES[name](), tmp_path / copy)
    written = (tmp_path / "one.svg").read_bytes()
    assert written == (tmp_path / "two.svg").read_bytes()
    assert ElementTree.fromstring(written).tag.endswith("svg")


def test_baselines_show_both_sides_and_the_floor():
    found = texts(FIGURES["baselines"]())
    assert "boredom: floor 46.1 %" in found
    assert "53.7" in found
    assert found.count("60.0") == 4
    assert found.count("not run") == 4  # experiment 3, in each state
    assert "published (Table 4.7)" in found


def test_baselines_mark_random_weights_and_means():
    runs = {f"experiment_2-seed_{n}": scores(0.5) for n in (1, 2)}
    run = results(runs | {"experiment_3": scores(0.6)})
    over_seeds = spread(run, {"experiment_2": list(runs)})
    found = texts(baselines.draw(run, "daisee", ["experiment_3"], over_seeds))
    assert found.count("50.0\nmean of\n2 seeds") == 4
    assert baselines.OURS_RANDOM in found
    assert baselines.OURS_RANDOM not in texts(baselines.draw(run, "daisee", ["experiment_4"]))


def test_losses_and_engagement_mark_random_weights_and_seeds():
    histories = {"experiment_2": history(5), "experiment_3": history(5)}
    found = texts(losses.draw(histories, ["experiment_2"], ["experiment_4"]))
    assert "experiment 2: teacher network + LSTM\nRANDOM WEIGHTS" in found
    assert "experiment 3: ResNet-18 + LSTM" in found
    assert "experiment_4: several runs: see each run's own figure" in found
    run = {f"experiment_{n}": metrics(DAISEE_TASKS) for n in (3, 4)}
    drawn = engagement.draw(run, random_weights=["experiment_3"], repeated=["experiment_5"])
    found = texts(drawn)
    assert found.count("predicted (RANDOM WEIGHTS)") == 1
    assert found.count("predicted") == 1
    assert found.count("several runs: see each run's own figure") == 1
    assert found.count("not run") == 5


def test_another_study_claims_no_comparison():
    found = texts(FIGURES["baselines, another study"]())
    assert not any("Table" in text or "53.7" in text for text in found)


def test_losses_own_up_to_what_is_not_there():
    found = texts(losses.draw({"experiment_3": history(5)}))
    assert losses.UNPUBLISHED in found
    assert "experiment_2: not run" in found
    assert "experiment_3: not run" not in found


def test_engagement_has_a_panel_for_each_of_eight():
    found = texts(FIGURES["engagement, collapsed"]())
    assert "(a) experiment_3" in found
    assert "(g) experiment_9: PREDICTS ONE LEVEL" in found
    assert "(h) experiment_11" in found
    assert found.count("not run") == 7


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("published.rst", "Tables 4.1 and 4.3 to 4.13"),
        ("baselines.rst", "Figure 4.3"),
        ("engagement.rst", "Figure 4.5"),
        ("losses.rst", "Figure 4.6"),
    ],
)
def test_captions_name_what_they_repeat(name, what):
    assert what in render(name, "pretrained").replace("\n", " ")


def test_rows_are_a_frame_of_texts_and_numbers():
    rows = compared({"experiment_6": scores(0.6)})
    assert isinstance(rows, pd.DataFrame)
    assert rows[["table", "note", "ours_note", "choice"]].notna().all().all()
