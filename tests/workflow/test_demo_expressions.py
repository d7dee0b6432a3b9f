import csv
import hashlib
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.feature import hog
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from affectflow.demo.expressions import COLUMNS, Plan, plan_expressions, write_expressions
from affectflow.demo.photos import CLOSE, WIDE
from affectflow.demo.portrayals import NO_AFFECT, Portrayal, settings
from affectflow.demo.triplets import KINDS, MANY_VOTES, VOTES, Triplet
from affectflow.errors import UserError
from affectflow.teacher.classes import EXPRESSIONS

IDENTITIES, PER_IDENTITY, TRIPLETS, SIDE = 24, 8, 160, 112


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    root = tmp_path_factory.mktemp("expressions") / "data"
    return root, write_expressions(root, IDENTITIES, PER_IDENTITY, TRIPLETS, side=SIDE, workers=2)


@pytest.fixture(scope="module")
def root(written: tuple[Path, Plan]) -> Path:
    return written[0]


@pytest.fixture(scope="module")
def plan(written: tuple[Path, Plan]) -> Plan:
    return written[1]


def table(root: Path, name: str) -> list[dict[str, str]]:
    with (root / "affectnet" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def comparisons(root: Path, split: str) -> list[list[str]]:
    path = root / "fec" / f"faceexp-comparison-data-{split}-public.csv"
    with path.open(newline="") as file:
        return list(csv.reader(file))


def digests(root: Path) -> dict[str, str]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def votes(row: list[str]) -> Counter[int]:
    return Counter(int(vote) for vote in row[17::2])


def identities(names: list[str]) -> set[str]:
    return {Path(name).name[:4] for name in names}


def test_affectnet_lies_as_it_is_distributed(root: Path, plan: Plan) -> None:
    for folder, images in (("train_set", plan.training), ("val_set", plan.validation)):
        found = {path.name for path in (root / "affectnet" / folder / "images").iterdir()}
        assert found == {image.name for image in images}
        annotations = root / "affectnet" / folder / "annotations"
        assert len(list(annotations.iterdir())) == 3 * len(images)
        for image in images:
            said = [np.load(annotations / f"{image.name[:-4]}_{key}.npy") for key in KEYS]
            assert all(value.shape == () and value.dtype.kind == "U" for value in said)
            assert int(said[0]) == image.expression
            assert float(said[1]) == pytest.approx(image.valence, abs=1e-5)
            assert float(said[2]) == pytest.approx(image.arousal, abs=1e-5)


KEYS = ("exp", "val", "aro")


@pytest.mark.parametrize(("name", "folder"), [("training", "train"), ("validation", "val")])
def test_affectnets_tables_have_the_same_images(root: Path, name: str, folder: str) -> None:
    rows = table(root, f"{name}.csv")
    assert tuple(rows[0]) == COLUMNS
    labelled = [row for row in rows if int(row["expression"]) < len(EXPRESSIONS)]
    files = sorted((root / "affectnet" / f"{folder}_set" / "images").iterdir())
    paths = [root / "affectnet" / row["subDirectory_filePath"] for row in labelled]
    assert sorted(paths) == files
    for row, path in zip(labelled, paths, strict=True):
        annotations = path.parents[1] / "annotations"
        for key, column in zip(KEYS, ("expression", "valence", "arousal"), strict=True):
            assert str(np.load(annotations / f"{path.stem}_{key}.npy")) == row[column]
        assert row["facial_landmarks"] == ""
        x, y, width, height = (int(row[f"face_{side}"]) for side in ("x", "y", "width", "height"))
        assert 0 <= x < x + width <= SIDE
        assert 0 <= y < y + height <= SIDE


def test_images_without_a_class_are_in_the_training_table_alone(root: Path, plan: Plan) -> None:
    others = [row for row in table(root, "training.csv") if int(row["expression"]) >= 8]
    assert Counter(row["expression"] for row in others) == {"8": 2, "9": 2, "10": 2}
    for row in others:
        assert float(row["valence"]) == float(row["arousal"]) == NO_AFFECT
        image = cv2.imread(str(root / "affectnet" / row["subDirectory_filePath"]))
        assert image is not None and image.shape == (SIDE, SIDE, 3)
    assert len(plan.others) == len(others)


def test_classes_are_balanced_and_vary_within(plan: Plan) -> None:
    for images in (plan.training, plan.validation):
        assert len(set(Counter(image.expression for image in images).values())) == 1
    for expression in range(len(EXPRESSIONS)):
        faces = [settings(i.face) for i in plan.training if i.expression == expression]
        assert len(np.unique(np.stack(faces), axis=0)) == IDENTITIES


@pytest.mark.parametrize("split", ["train", "test"])
def test_comparisons_are_written_as_googles(root: Path, plan: Plan, split: str) -> None:
    triplets = plan.train_triplets if split == "train" else plan.test_triplets
    rows = comparisons(root, split)
    assert len(rows) == len(triplets) == (TRIPLETS if split == "train" else TRIPLETS // 4)
    for row, triplet in zip(rows, triplets, strict=True):
        assert row[0:15:5] == [f"http://faces.invalid/{i.name}" for i in triplet.images]
        for start in (1, 6, 11):
            left, right, top, bottom = (float(value) for value in row[start : start + 4])
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1
            # a square in an image that is wider than high
            width, height = (right - left) * WIDE.width, (bottom - top) * WIDE.height
            assert width == pytest.approx(height, rel=0.03)
        assert row[15] == triplet.kind
        assert len(row[16::2]) == len(row[17::2]) == len(set(row[16::2]))
        assert set(row[17::2]) <= {"1", "2", "3"}


def test_boxes_say_where_the_face_is(root: Path, plan: Plan) -> None:
    # the crops of one identity are alike whichever place the face has in its image
    crops = load_compared(root)
    name = next(i.name for i in plan.fec_images if i.name in crops)
    mine = np.stack([crop for other, crop in crops.items() if other[:4] == name[:4]])
    centred = mine - mine.mean(axis=(1, 2), keepdims=True)
    alike = np.corrcoef(centred.reshape(len(mine), -1))
    assert alike.min() > 0.6


def test_no_identity_is_in_two_sets(root: Path) -> None:
    train = identities([row["subDirectory_filePath"] for row in table(root, "training.csv")])
    val = identities([row["subDirectory_filePath"] for row in table(root, "validation.csv")])
    fec = [
        identities([url for row in comparisons(root, split) for url in row[0:15:5]])
        for split in ("train", "test")
    ]
    sets = [train, val, *fec]
    assert [len(each) for each in sets] == [24, 6, 12, 6]
    assert len(set.union(*sets)) == sum(len(each) for each in sets)


def test_triplets_are_of_three_identities_and_their_kind(plan: Plan) -> None:
    triplets = [*plan.train_triplets, *plan.test_triplets]
    for triplet in triplets:
        assert len({image.identity for image in triplet.images}) == 3
        classes = Counter(image.expression for image in triplet.images)
        assert len(classes) == KINDS.index(triplet.kind) + 1
        if triplet.kind == "TWO_CLASS_TRIPLET":
            assert classes[triplet.images[triplet.odd - 1].expression] == 1
    counts = Counter(triplet.kind for triplet in plan.train_triplets)
    assert [counts[kind] for kind in KINDS] == [32, 64, 64]
    assert {triplet.odd for triplet in triplets} == {1, 2, 3}


def test_the_odd_one_is_the_farthest_by_far(plan: Plan) -> None:
    for triplet in (*plan.train_triplets, *plan.test_triplets):
        points = {image.name: settings(image.face) for image in triplet.images}
        pair, *odd = sorted_distances(triplet, points)
        assert min(odd) >= 1.5 * pair


def test_annotators_tie_err_and_are_many_as_often_as_planned(root: Path, plan: Plan) -> None:
    kinds: Counter[str] = Counter()
    for row, triplet in zip(comparisons(root, "train"), plan.train_triplets, strict=True):
        (first, most), *rest = votes(row).most_common()
        if rest and rest[0][1] == most:
            kinds["tied"] += 1
            assert triplet.odd in (first, rest[0][0])
            continue
        assert first == triplet.odd
        kinds["wrong vote" if rest else "agreed"] += 1
        assert most + len(rest) in (VOTES, MANY_VOTES)
        kinds["many"] += len(row[17::2]) == MANY_VOTES
    assert kinds == {"tied": 6, "wrong vote": 32, "agreed": 122, "many": 3}


def test_images_are_missing_and_one_is_cut(root: Path, plan: Plan) -> None:
    there = {path.name for path in (root / "fec" / "images").iterdir()}
    named = {image.name for image in plan.fec_images}
    assert named - there == plan.missing
    for split, first in (("train", "3"), ("test", "4")):
        urls = {url for row in comparisons(root, split) for url in row[0:15:5]}
        lost = [url for url in urls if url.rpartition("/")[2] not in there]
        assert lost == [url for url in lost if f"/{first}" in url]
        assert 1 <= len(lost) <= 2
    ends = {n for n in there if (root / "fec" / "images" / n).read_bytes()[-2:] != b"\xff\xd9"}
    assert ends == {plan.cut}
    assert any(plan.cut in row[place] for row in comparisons(root, "train") for place in (0, 5, 10))


def test_same_seed_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    few = {"identities": 12, "per_identity": 8, "triplets": 16, "side": 48}
    for name, workers in (("one", 1), ("two", 2)):
        write_expressions(tmp_path / name, **few, seed=1, workers=workers)
    ours = digests(tmp_path / "one")
    assert ours == digests(tmp_path / "two")
    assert len(ours) > 12 * 8 * 4


def test_another_seed_plans_others() -> None:
    assert plan_expressions(24, 8, 40, seed=1) == plan_expressions(24, 8, 40, seed=1)
    assert plan_expressions(24, 8, 40, seed=1) != plan_expressions(24, 8, 40, seed=2)


def test_nothing_else_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "training.csv").touch()
    with pytest.raises(UserError, match="precious"):
        write_expressions(tmp_path / "precious", 12, 8, 16)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("numbers", [(11, 8, 16), (1000, 8, 16), (12, 0, 16), (12, 8, 15)])
def test_numbers_out_of_range_are_told(numbers: tuple[int, int, int]) -> None:
    with pytest.raises(UserError, match="outside"):
        plan_expressions(*numbers, seed=1)


def test_too_few_images_for_clear_triplets_are_told() -> None:
    with pytest.raises(UserError, match="clear"):
        plan_expressions(12, 1, 16, seed=1)


# whether what is planned can be seen


def grey(path: Path, box: tuple[float, float, float, float]) -> np.ndarray:
    """The face as 64 x 64 grey values in 0..1."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    left, top, right, bottom = (round(value) for value in box)
    face = image[max(0, top) : bottom, max(0, left) : right]
    return cv2.resize(face, (64, 64), interpolation=cv2.INTER_AREA) / 255


def load_labelled(root: Path, name: str) -> dict[str, np.ndarray]:
    crops = {}
    for row in table(root, name):
        if int(row["expression"]) < len(EXPRESSIONS):
            x, y, width, height = (int(row[f"face_{k}"]) for k in ("x", "y", "width", "height"))
            path = root / "affectnet" / row["subDirectory_filePath"]
            crops[path.name] = grey(path, (x, y, x + width, y + height))
    return crops


def load_compared(root: Path) -> dict[str, np.ndarray]:
    crops = {}
    height = round(SIDE * WIDE.height / CLOSE.height)
    width = round(SIDE * WIDE.width / CLOSE.height)
    for row in (*comparisons(root, "train"), *comparisons(root, "test")):
        for start in (0, 5, 10):
            path = root / "fec" / "images" / row[start].rpartition("/")[2]
            whole = path.exists() and path.read_bytes().endswith(b"\xff\xd9")
            if whole and path.name not in crops:
                left, right, top, bottom = (float(value) for value in row[start + 1 : start + 5])
                box = left * width, top * height, right * width, bottom * height
                crops[path.name] = grey(path, box)
    return crops


def sorted_distances(triplet: Triplet, points: dict[str, np.ndarray]) -> tuple[float, float, float]:
    """The distance between the two that are not odd, then theirs to the odd one."""
    odd = points[triplet.images[triplet.odd - 1].name]
    a, b = (points[i.name] for n, i in enumerate(triplet.images, start=1) if n != triplet.odd)
    return tuple(float(np.linalg.norm(gap)) for gap in (a - b, a - odd, b - odd))


def accuracy(triplets: list[Triplet], points: dict[str, np.ndarray]) -> float:
    seen = [t for t in triplets if all(image.name in points for image in t.images)]
    assert len(seen) > 0.7 * len(triplets)
    right = [np.argmin(sorted_distances(triplet, points)) == 0 for triplet in seen]
    return float(np.mean(right))


def describe(crops: dict[str, np.ndarray], names: list[str]) -> np.ndarray:
    """Histograms of gradients: (names, features)."""
    cells = {"pixels_per_cell": (8, 8), "cells_per_block": (2, 2)}
    return np.stack([hog(crops[name], **cells) for name in names])


def project() -> tuple[StandardScaler, PCA]:
    return StandardScaler(), PCA(80, random_state=0)


def test_classes_and_odd_ones_can_be_told_of_people_never_seen(root: Path, plan: Plan) -> None:
    training, validation = (
        load_labelled(root, "training.csv"),
        load_labelled(root, "validation.csv"),
    )
    compared = load_compared(root)
    triplets = [*plan.train_triplets, *plan.test_triplets]

    def classes(images: tuple[Portrayal, ...]) -> list[int]:
        return [image.expression for image in images]

    names = [image.name for image in plan.training]
    held_out = [image.name for image in plan.validation]
    classify = make_pipeline(*project(), LogisticRegression(C=0.1, max_iter=1000))
    classify.fit(describe(training, names), classes(plan.training))
    found = classify.score(describe(validation, held_out), classes(plan.validation))
    chances = dict(
        zip(compared, classify.predict_proba(describe(compared, list(compared))), strict=True)
    )
    two_classes = accuracy([t for t in triplets if t.kind == "TWO_CLASS_TRIPLET"], chances)

    # the nearer two of three classes or of one class are not in the probabilities of a class
    measure = make_pipeline(*project(), Ridge(10.0))
    measure.fit(describe(training, names), np.stack([settings(i.face) for i in plan.training]))
    measured = dict(zip(compared, measure.predict(describe(compared, list(compared))), strict=True))
    all_kinds = accuracy(triplets, measured)
    assert found >= 0.9
    assert two_classes >= 0.9
    assert all_kinds >= 0.9
