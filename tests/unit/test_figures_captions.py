from html import escape
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
from docutils.core import publish_parts

from affectflow.dataset.about import as_caption
from affectflow.dataset.layouts import daisee

REPORT = Path(__file__).parents[2] / "workflow" / "report"
CAPTIONS = sorted(path.name for path in REPORT.glob("*.rst"))
# As Snakemake 9 renders captions.
ENVIRONMENT = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
PLAIN = "Numbers from random weights\nmean nothing about people"


def render(name, weights, dissertation=True, about=()):
    snakemake = SimpleNamespace(
        config={
            "backbones": {"resnet_": {"weights": weights}, "other": {"weights": "pretrained"}},
            "captions": {"dissertation": dissertation, "about": as_caption(about)},
            "frames": {"per_clip": 24, "fps": None},
            "faces": {"detector": "mtcnn"},
            "seed": 1,
        },
        wildcards=SimpleNamespace(experiment="lstm_", backbone="resnet_"),
    )
    text = (REPORT / name).read_text(encoding="utf-8")
    return ENVIRONMENT.from_string(text).render(snakemake=snakemake)


HOSTILE = "*a* `b`_ |c| <script>x</script> .. raw:: html :ref:`d` __ e_ {{ snakemake }} \\ 1."


def html(text):
    strict = {"halt_level": 2, "report_level": 2}
    return publish_parts(text, writer="html", settings_overrides=strict)["html_body"]


@pytest.mark.parametrize("weights", ["random", "pretrained"])
@pytest.mark.parametrize("name", CAPTIONS)
@pytest.mark.parametrize(("dissertation", "about"), [(True, daisee.ABOUT), (False, [HOSTILE])])
def test_captions_are_clean_restructured_text(name, weights, dissertation, about):
    assert "<p>" in html(render(name, weights, dissertation, about))


def test_what_is_said_of_people_is_of_these_people():
    for about in ([], [HOSTILE], daisee.ABOUT):
        text = html(render("workflow.rst", "pretrained", False, about)).replace("\n", " ")
        assert ("Asian" in text) == (about is daisee.ABOUT)
        assert ("is not told with this data set" in text) == (not about)
        assert "EU AI Act" in text
        for sentence in about:
            assert escape(sentence, quote=False) in text.replace("&quot;", '"')


# Of these the study has no use, and does not make them.
PUBLISHED = {"published.rst", "published_csv.rst", "baselines.rst", "losses.rst", "engagement.rst"}


@pytest.mark.parametrize("name", sorted({*CAPTIONS} - PUBLISHED))
def test_captions_of_other_studies_tell_nothing_of_the_dissertation_or_of_daisee(name):
    text = render(name, "pretrained", False)
    for word in ("dissertation", "Figure", "Table 4", "DAiSEE", "Asian", "student", "crowd"):
        assert word not in text, word


@pytest.mark.parametrize(
    "name", sorted({*CAPTIONS} - {"levels.rst", "audit.rst", "results_csv.rst"})
)
def test_captions_with_numbers_say_when_weights_are_random(name):
    said = "random weights" in render(name, "random").lower()
    assert said
    assert "random weights" not in render(name, "pretrained").lower()


@pytest.mark.parametrize("name", ["workflow.rst", "results.rst", "overview.rst", "confusion.rst"])
def test_results_of_random_weights_are_said_to_mean_nothing(name):
    assert PLAIN in render(name, "random")
    assert "``resnet_``" in render(name, "random")


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("levels.rst", "Figure 4.1"),
        ("similarity.rst", "Figure 4.2"),
        ("confusion.rst", "Figure 4.5"),
        ("history.rst", "Figure 4.6"),
    ],
)
def test_captions_name_the_dissertations_figure(name, figure):
    assert figure in render(name, "pretrained").replace("\n", " ")


def test_the_published_similarity_is_told_in_the_dissertations_study_alone():
    assert "0.98" in render("similarity.rst", "pretrained").split("The diamond")[1]
    assert "The diamond" not in render("similarity.rst", "pretrained", False)
