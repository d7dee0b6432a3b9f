from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
from docutils.core import publish_parts

REPORT = Path(__file__).parents[2] / "workflow" / "report"
CAPTIONS = sorted(path.name for path in REPORT.glob("*.rst"))
# As Snakemake 9 renders captions.
ENVIRONMENT = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
PLAIN = "Numbers from random weights\nmean nothing about people"


def render(name, weights, layout="daisee"):
    snakemake = SimpleNamespace(
        config={
            "backbones": {"resnet_": {"weights": weights}, "other": {"weights": "pretrained"}},
            "dataset": {"layout": layout},
            "frames": {"per_clip": 24, "fps": None},
            "faces": {"detector": "mtcnn"},
            "seed": 1,
        },
        wildcards=SimpleNamespace(experiment="lstm_", backbone="resnet_"),
    )
    text = (REPORT / name).read_text(encoding="utf-8")
    return ENVIRONMENT.from_string(text).render(snakemake=snakemake)


@pytest.mark.parametrize("weights", ["random", "pretrained"])
@pytest.mark.parametrize("name", CAPTIONS)
def test_captions_are_clean_restructured_text(name, weights):
    strict = {"halt_level": 2, "report_level": 2}
    parts = publish_parts(render(name, weights), writer="html", settings_overrides=strict)
    assert "<p>" in parts["html_body"]


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


def test_the_published_similarity_is_told_for_daisee_alone():
    assert "0.98" in render("similarity.rst", "pretrained").split("The diamond")[1]
    assert "The diamond" not in render("similarity.rst", "pretrained", "manifest")
