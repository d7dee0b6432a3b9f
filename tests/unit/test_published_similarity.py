"""The similarity stated on Figure 4.2, and ours beside it."""

import re

import numpy as np
import pytest
from published_run import results, scores
from test_figures_table import HOSTILE, page

from affectflow.figures.published_table import published_html
from affectflow.figures.similarity import frame_similarity, summary
from affectflow.published import numbers
from affectflow.published.compare import compare
from affectflow.published.similarity import (
    NO_CLIP,
    NOTES,
    compare_similarity,
    read_similarity,
    stated,
    write_similarity,
)


def clips(count=50, frames=300, faces=True):
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(count, frames, 8)) + 3
    return summary(frame_similarity(embedding, np.full((count, frames), faces)))


def html(similarities):
    rows = compare(results({"experiment_6": scores(0.6)}), numbers.levels(), "daisee")
    return published_html(rows, (), similarities)


def test_the_stated_value_is_the_dissertation_s(shared):
    text = (shared / "seeds" / "abraham2022_dissertation.txt").read_text(encoding="utf-8")
    found = re.search(r"frame 1 and frame (\d+) had a similarity of ([\d.]+),", text)
    frames = re.search(r"resulting in (\d+) frames per video", text)
    assert stated() == (int(found[1]), int(frames[1]), float(found[2]))


def test_ours_is_the_median_clip_at_the_same_time(tmp_path):
    tables = {"resnet18": clips(), "fecnet": clips(frames=100)}
    for name, table in tables.items():
        write_similarity(tmp_path / f"{name}.csv", table)
    read = {name: read_similarity(tmp_path / f"{name}.csv") for name in tables}
    rows = compare_similarity(read, ["fecnet"]).set_index("backbone")
    assert rows["frame"].to_dict() == {"resnet18": 60, "fecnet": 20}
    assert rows["ours_note"].to_dict() == {"resnet18": "", "fecnet": "random weights"}
    own = rows.loc["resnet18"]
    assert own["p5"] < own["ours"] < own["p95"]
    assert own["difference"] == pytest.approx(own["ours"] - 0.98, abs=1e-6)
    assert own["clips"] == 50


def test_without_a_face_there_is_nothing_to_compare():
    (row,) = compare_similarity({"resnet18": clips(faces=False)}, ["resnet18"]).to_dict("records")
    assert (row["clips"], row["ours_note"]) == (0, NO_CLIP)
    assert np.isnan(row["ours"])
    assert NO_CLIP in page(html(compare_similarity({"resnet18": clips(faces=False)}))).text


def test_the_page_has_it_after_table_4_1():
    rows = compare_similarity({"resnet18": clips(), HOSTILE: clips()}, [HOSTILE])
    found = html(rows)
    text = page(found).text
    assert all(note in text for note in NOTES)
    assert re.findall(r"<h2>(\w+ 4\.\d+):", found)[:3] == ["Table 4.1", "Figure 4.2", "Table 4.3"]
    part = found.split("<h2>Figure 4.2:")[1].split("</table>")[0]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in part.split("<tr>")[2:]]
    own = rows.iloc[0]
    ours = f"{own['ours']:.3f} ({own['difference']:+.3f})"
    interval = f"<br><span class=range>[{own['p5']:.3f}, {own['p95']:.3f}]</span>"
    assert cells[0] == ["resnet18", "60 of 300", "0.98", ours + interval, "50"]
    assert cells[1][3].endswith("<span class=flag>random weights</span>")


def test_a_page_without_similarities_has_no_figure_4_2():
    assert "Figure 4.2" not in html(None)
    assert "Figure 4.2" not in html(compare_similarity({}))
