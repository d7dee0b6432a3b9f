"""What a project says of itself: licence, citation, the workflow catalogue."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

TOP = Path(__file__).parents[2]
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITATION = yaml.safe_load((TOP / "CITATION.cff").read_text(encoding="utf-8"))
# Of the schema of version 1.2.0: all that a software's citation, or a thesis in it, may have here.
SOFTWARE = {
    "cff-version", "message", "type", "title", "abstract", "version", "license", "authors",
    "keywords", "references",
}  # fmt: skip
THESIS = {"type", "thesis-type", "title", "authors", "institution", "year"}


def test_the_licence_is_the_one_that_is_named() -> None:
    text = (TOP / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License\n\nCopyright (c) 2026 affectflow contributors\n")
    assert PROJECT["license"] == CITATION["license"] == "MIT"
    assert PROJECT["license-files"] == ["LICENSE"]
    assert PROJECT["authors"] == CITATION["authors"] == [{"name": "affectflow contributors"}]


def test_the_citation_is_of_this_version_and_of_the_dissertation() -> None:
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software"
    assert set(CITATION) == SOFTWARE
    assert (CITATION["title"], CITATION["version"]) == (PROJECT["name"], PROJECT["version"])
    assert isinstance(CITATION["version"], str)
    (dissertation,) = CITATION["references"]
    assert set(dissertation) == THESIS
    assert dissertation["type"] == "thesis" and dissertation["year"] == 2022
    assert dissertation["authors"] == [{"family-names": "Abraham", "given-names": "Reshma"}]
    assert dissertation["title"] in re.sub(r"\s+", " ", (TOP / "README.md").read_text())


def test_the_workflow_catalogue_is_told_what_it_asks() -> None:
    text = (TOP / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8")
    usage = yaml.safe_load(text)["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert usage["report"] is True
    assert usage["software-stack-deployment"]["conda"] is True
    assert (TOP / "config" / "README.md").is_file()
    assert "LICENSE" in (TOP / "README.md").read_text(encoding="utf-8")
