"""What several unit tests share."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture(scope="session")
def real_corpus() -> Path:
    """Real people's videos in DAiSEE's layout, where they lie beside the checkout."""
    corpus = SHARED / "corpus"
    if not corpus.is_dir():
        pytest.skip("no corpus of real videos beside this checkout (../shared/corpus)")
    return corpus
