"""Write a pair of small data sets of expressions, in the formats of AffectNet and of Google's FEC.

With them the dissertation's extractor 1 can be trained where the real ones may not be: in tests.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from affectflow.demo.photos import CLOSE, WIDE, Box, Size, write_images
from affectflow.demo.portrayals import Portrayal, portray, portray_others
from affectflow.demo.triplets import Triplet, compare
from affectflow.errors import UserError

README = """Generated expressions, seed {seed}, in the formats of AffectNet and of Google's FEC.

Nobody took part: every face is scikit-image's public-domain portrait of an astronaut, warped and
recoloured, and the labels are what the drawn faces were told to show. Accuracy measured here says
that a training works, and nothing about people.
"""
COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
    "expression", "valence", "arousal",
)  # fmt: skip
URL = "http://faces.invalid/"
FEC_FILE = "faceexp-comparison-data-{split}-public.csv"

# first identities of the four sets
TRAINING, VALIDATION, FEC_TRAIN, FEC_TEST = 1001, 2001, 3001, 4001
MOST_IDENTITIES, MOST_IMAGES = 999, 899
FEWEST_HELD_OUT = 6
GROUP, FEWEST_OF_GROUP = 6, 16
"""Identities whose photos are compared with each other alone, and comparisons that they get: so a
part can be held out whose photos are in no other."""
MISSING = 0.02  # share of FEC's images, at least one of each table


@dataclass(frozen=True)
class Plan:
    """Everything that is written, and what is amiss with it.

    Attributes
    ----------
    training, validation : tuple of Portrayal
        AffectNet's two sets, of different identities.
    others : tuple of Portrayal
        Images of AffectNet's training table that have no class.
    fec_images : tuple of Portrayal
        The images of the comparisons, of identities of their own.
    train_triplets, test_triplets : tuple of Triplet
        Of different identities.
    missing : frozenset of str
        Names of images of the comparisons that are not written, as those no longer on the web.
    cut : str
        The name of the one whose file ends early.
    """

    training: tuple[Portrayal, ...]
    validation: tuple[Portrayal, ...]
    others: tuple[Portrayal, ...]
    fec_images: tuple[Portrayal, ...]
    train_triplets: tuple[Triplet, ...]
    test_triplets: tuple[Triplet, ...]
    missing: frozenset[str]
    cut: str


def plan_expressions(identities: int, per_identity: int, triplets: int, seed: int) -> Plan:
    """Plan both data sets.

    Parameters
    ----------
    identities : int
        In AffectNet's training set, 12 to 999. The validation set has a quarter as many (6 at
        least), the comparisons half as many to train and a quarter as many to test.
    per_identity : int
        Images of each identity, 1 to 899; the classes take turns.
    triplets : int
        Training comparisons, at least 16; a quarter as many to test.
    seed : int
        The same seed gives the same plan.

    Returns
    -------
    Plan

    Raises
    ------
    UserError
        If a number is out of range, or so few images have too few clear triplets.
    """
    for name, value, least, most in (
        ("identities", identities, 12, MOST_IDENTITIES),
        ("images of an identity", per_identity, 1, MOST_IMAGES),
        ("triplets", triplets, 16, None),
    ):
        if value < least or (most is not None and value > most):
            limits = f"at least {least}" if most is None else f"{least} to {most}"
            raise UserError(f"{value} {name}: outside what can be written.", f"Ask for {limits}.")
    held_out = max(FEWEST_HELD_OUT, identities // 4)
    training = portray(TRAINING, identities, per_identity, seed)
    validation = portray(VALIDATION, held_out, per_identity, seed)
    fec_train = portray(FEC_TRAIN, identities // 2, per_identity, seed)
    fec_test = portray(FEC_TEST, held_out, per_identity, seed)
    rng = np.random.default_rng([seed, 0])
    groups = max(1, min(identities // 2 // GROUP, triplets // FEWEST_OF_GROUP))
    compared = compare(fec_train, triplets, rng, groups), compare(fec_test, triplets // 4, rng)
    lost = [name for side in compared for name in _pick_lost(side, rng)]
    cut = str(rng.choice(sorted(_names(compared[0]) - set(lost))))
    return Plan(
        tuple(training),
        tuple(validation),
        tuple(portray_others(TRAINING, seed)),
        (*fec_train, *fec_test),
        *compared,
        frozenset(lost),
        cut,
    )


def _names(triplets: Sequence[Triplet]) -> set[str]:
    return {image.name for triplet in triplets for image in triplet.images}


def _pick_lost(triplets: Sequence[Triplet], rng: np.random.Generator) -> list[str]:
    names = sorted(_names(triplets))
    lost = rng.choice(names, max(1, round(MISSING * len(names))), replace=False)
    return [str(name) for name in lost]


def write_expressions(
    root: Path,
    identities: int = 60,
    per_identity: int = 8,
    triplets: int = 1200,
    seed: int = 1,
    side: int = 176,
    workers: int | None = None,
) -> Plan:
    """Write AffectNet's form and FEC's form of generated expressions.

    ``root/affectnet`` has AffectNet's folders, ``train_set`` and ``val_set`` with ``images`` and
    ``annotations`` (`ID_exp.npy`, `ID_val.npy`, `ID_aro.npy`: scalars, as text), and its tables
    ``training.csv`` and ``validation.csv`` of the same images, with paths relative to
    ``root/affectnet``, boxes in pixels and empty landmarks. The training table has six images more,
    of none of the eight classes, in ``others``. ``root/fec`` has FEC's two tables of comparisons
    and ``images``, named by the last part of their urls. No identity is in two of the four sets.
    What is amiss in FEC's (ties, wrong votes, missing images, a cut one) is in the plan.

    Files of an earlier call are replaced once the new ones are complete.

    Parameters
    ----------
    root : Path
        Folder to write.
    identities, per_identity, triplets, seed : int
        As `plan_expressions` takes them. The same seed and library versions give the same files.
    side : int
        Of AffectNet's images, in pixels, at least 32.
    workers : int, optional
        Processes to use; one per core by default.

    Returns
    -------
    Plan
        Who shows what, and the odd one of each triplet.

    Raises
    ------
    UserError
        If `root` holds anything but generated expressions, or a number is out of range.
    """
    if side < 32:
        raise UserError(f"Images of {side} pixels show no face.", "Ask for 32 or more.")
    root = Path(root)
    plan = plan_expressions(identities, per_identity, triplets, seed)
    if root.exists() and any(root.iterdir()) and not _is_generated(root):
        raise UserError(
            f"{root} holds something that is not generated expressions.",
            "Name another folder, or empty this one.",
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    unfinished = root.with_name(f".{root.name}-{os.getpid()}")
    unfinished.mkdir()
    try:
        (unfinished / "README.txt").write_text(README.format(seed=seed), encoding="ascii")
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            _write_affectnet(plan, unfinished / "affectnet", seed, side, pool)
            _write_fec(plan, unfinished / "fec", seed, side, pool)
        if root.exists():
            shutil.rmtree(root)
        unfinished.rename(root)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return plan


def _write_affectnet(
    plan: Plan, root: Path, seed: int, side: int, pool: ProcessPoolExecutor
) -> None:
    tables: dict[str, list[tuple[str, tuple[Portrayal, ...]]]] = {
        "training.csv": [("train_set/images", plan.training), ("others", plan.others)],
        "validation.csv": [("val_set/images", plan.validation)],
    }
    for table, sets in tables.items():
        rows: list[list[object]] = []
        for folder, images in sets:
            boxes = write_images(images, root / folder, CLOSE, seed, side, pool)
            for image in images:
                affect = f"{image.valence:.6g}", f"{image.arousal:.6g}"
                path, (box, _) = f"{folder}/{image.name}", boxes[image.name]
                rows.append([path, *box, "", image.expression, *affect])
        _write_csv(root / table, [list(COLUMNS), *rows])
    for folder, images in (("train_set", plan.training), ("val_set", plan.validation)):
        _write_annotations(images, root / folder / "annotations")


def _write_annotations(images: Iterable[Portrayal], folder: Path) -> None:
    folder.mkdir()
    for image in images:
        stem = image.name.removesuffix(".jpg")
        np.save(folder / f"{stem}_exp.npy", np.array(str(image.expression)))
        np.save(folder / f"{stem}_val.npy", np.array(f"{image.valence:.6g}"))
        np.save(folder / f"{stem}_aro.npy", np.array(f"{image.arousal:.6g}"))


def _write_fec(plan: Plan, root: Path, seed: int, side: int, pool: ProcessPoolExecutor) -> None:
    boxes = write_images(plan.fec_images, root / "images", WIDE, seed, side, pool)
    relative = {name: _relative(box, size) for name, (box, size) in boxes.items()}
    for name in plan.missing:
        (root / "images" / name).unlink()
    cut = root / "images" / plan.cut
    os.truncate(cut, cut.stat().st_size // 3)
    for split, triplets in (("train", plan.train_triplets), ("test", plan.test_triplets)):
        rows = [_fec_row(triplet, relative) for triplet in triplets]
        _write_csv(root / FEC_FILE.format(split=split), rows)


def _relative(box: Box, size: Size) -> list[str]:
    """A box in FEC's order: left and right by the width, top and bottom by the height."""
    (left, top, across, down), (width, height) = box, size
    sides = left / width, (left + across) / width, top / height, (top + down) / height
    return [f"{min(max(value, 0), 1):.6g}" for value in sides]


def _fec_row(triplet: Triplet, boxes: dict[str, list[str]]) -> list[object]:
    row: list[object] = []
    for image in triplet.images:
        row += [URL + image.name, *boxes[image.name]]
    row.append(triplet.kind)
    for annotator, vote in triplet.votes:
        row += [annotator, vote]
    return row


def _write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="ascii", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _is_generated(root: Path) -> bool:
    readme, first_words = root / "README.txt", README.partition(",")[0]
    return readme.is_file() and readme.read_text(errors="replace").startswith(first_words)
