"""The teacher's faces, looked at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
from study import CHECKOUT, Study
from teacher_config import teacher

from affectflow.errors import UserError
from affectflow.provenance.content import sha256
from affectflow.teacher.affectnet import read_affectnet
from affectflow.teacher.fec import Triplets, read_fec
from affectflow.teacher.files import FILES
from affectflow.teacher.index import AUDIT, index_digest, read_index, write_index
from affectflow.teacher.job import FINISHED, Request, is_finished, train


@pytest.fixture(scope="module")
def index(expressions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    write_index(teacher(expressions), folder)
    return folder


def test_what_is_read_is_what_the_readers_gave(expressions: Path, index: Path) -> None:
    config, data = teacher(expressions), read_index(index)
    fec = config["fec"]
    wanted, _ = read_fec(Path(fec["test"]), Path(fec["images"]))
    found = data.test_triplets
    assert found.odd.tolist() == wanted.odd.tolist()
    assert found.kind.tolist() == wanted.kind.tolist()
    for one, two in zip(found.index.ravel(), wanted.index.ravel(), strict=True):
        assert found.faces[one].path == wanted.faces[two].path.absolute()
        np.testing.assert_allclose(found.faces[one].box, wanted.faces[two].box)
    assert len(found.faces) == len({wanted.faces[i] for i in wanted.index.ravel()})
    wanted, _ = read_fec(Path(fec["train"]), Path(fec["images"]))
    held = held_out(index)
    triplets = len(data.train_triplets), len(data.validation_triplets)
    assert sum(triplets) == len(wanted) - held["fec"]
    assert 0 < triplets[1] < triplets[0], "few triplets, which share photos"
    rows = {row(wanted, n) for n in range(len(wanted))}
    for part in (data.train_triplets, data.validation_triplets):
        assert {row(part, n) for n in range(len(part))} <= rows
    shown, _ = read_affectnet(Path(config["affectnet"]["train"]))
    parts = data.train_expressions, data.validation_expressions
    labels = {str(f.path.absolute()): e for f, e in zip(shown.faces, shown.expression, strict=True)}
    assert sum(len(part.faces) for part in parts) == len(shown.faces) - held["affectnet"]
    for part in parts:
        assert all(face.box is None for face in part.faces)
        assert part.expression.tolist() == [labels[str(face.path)] for face in part.faces]
    assert all(face.box for face in data.test_expressions.faces), "a manifest has boxes"


def row(triplets: Triplets, n: int) -> tuple[object, ...]:
    faces = [triplets.faces[place].path.name for place in triplets.index[n]]
    return (*faces, int(triplets.odd[n]), str(triplets.kind[n]))


def held_out(index: Path) -> dict[str, int]:
    audit = pandas.read_csv(index / AUDIT).query("status == 'held_out'")
    triplets = audit["item"].str.contains(" and ").sum()
    return {"fec": int(triplets), "affectnet": int(len(audit) - triplets)}


def test_no_photo_is_in_two_parts(index: Path) -> None:
    data = read_index(index)
    parts = [
        {
            sha256(face.path)
            for kind in ("triplets", "expressions")
            for face in getattr(data, f"{split}_{kind}").faces
        }
        for split in ("train", "validation", "test")
    ]
    assert all(parts) and len(set.union(*parts)) == sum(map(len, parts))


def test_no_identity_is_on_both_sides_of_the_test(index: Path) -> None:
    data = read_index(index)

    def identities(*parts: str) -> set[str]:
        return {face.path.stem[:4] for part in parts for face in getattr(data, part).faces}

    train = identities("train_triplets", "train_expressions")
    assert train and not train & identities("test_triplets", "test_expressions")


def test_what_is_not_used_is_said(index: Path) -> None:
    statuses = set(pandas.read_csv(index / AUDIT)["status"])
    assert {"missing_image", "broken_image", "tie", "lost_triplet"} <= statuses


def test_the_digest_is_of_contents_not_of_where_they_lie(
    expressions: Path, index: Path, tmp_path: Path
) -> None:
    moved, again, changed = (tmp_path / name for name in ("moved", "again", "changed"))
    shutil.copytree(expressions, moved)
    write_index(teacher(moved), again)
    assert index_digest(again) == index_digest(index)
    one, other, *_ = read_index(again).train_triplets.faces
    shutil.copyfile(other.path, one.path)  # another photo under its name
    write_index(teacher(moved), changed)
    assert index_digest(changed) != index_digest(index)


def test_agreement_is_the_configs(expressions: Path, tmp_path: Path) -> None:
    config = teacher(expressions)
    config["fec"]["agreement"] = 0.9
    write_index(config, tmp_path)
    assert "weak" in set(pandas.read_csv(tmp_path / AUDIT)["status"])


def test_another_agreement_reads_anew(expressions: Path, tmp_path: Path) -> None:
    study = Study(CHECKOUT, tmp_path, {"teacher": teacher(expressions)})
    run = study.run("index_teacher")
    assert run.code == 0, run.out
    assert "Nothing to be done" in study.run("index_teacher", "--dry-run").out
    config = teacher(expressions)
    config["fec"]["agreement"] = 0.9
    stricter = study.with_config(teacher=config)
    assert stricter.run("index_teacher", "--dry-run").rules == {"index_teacher"}


def test_a_photo_that_may_be_of_the_other_table_is_not_used(
    expressions: Path, tmp_path: Path
) -> None:
    """The other address is of a triplet that is not used itself."""
    root = tmp_path / "expressions"
    shutil.copytree(expressions, root)
    config = teacher(root)
    url = Path(config["fec"]["train"]).read_text().partition(",")[0]
    name = url.rpartition("/")[2]
    assert (Path(config["fec"]["images"]) / name).is_file()
    with Path(config["fec"]["test"]).open("a") as test:
        test.write(f"http://elsewhere.example/{name}\n")
    write_index(config, tmp_path / "index")
    missing = pandas.read_csv(tmp_path / "index" / AUDIT).query("status == 'missing_image'")
    assert missing.set_index("item")["detail"][url].endswith("not its alone")


@pytest.mark.parametrize(
    ("data", "key"),
    [("fec", "train"), ("fec", "test"), ("fec", "images"), ("affectnet", "validation")],
)
def test_what_is_not_set_is_named(expressions: Path, tmp_path: Path, data: str, key: str) -> None:
    config = teacher(expressions)
    config[data] = {**config[data], key: None}
    with pytest.raises(UserError, match=rf"teacher\.{data}\.{key}: is not set") as error:
        write_index(config, tmp_path)
    assert error.value.remedy


def test_no_index(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"triplets.csv: no such file\n  Run snakemake"):
        read_index(tmp_path)


def test_a_request_is_its_content(index: Path, tmp_path: Path) -> None:
    request = Request(index, settings={"epochs": 3})
    assert request.digest() == Request(index, settings={"epochs": 3, "alpha": 0.1}).digest()
    assert request.digest() == Request(index, settings={"epochs": 3}, workers=7).digest()
    others = [
        Request(index, settings={"epochs": 4}),
        Request(index, settings={"epochs": 3}, code="other"),
        Request(index, settings={"epochs": 3}, threads=2),
    ]
    assert len({request.digest(), *(other.digest() for other in others)}) == 4


def test_finished_is_all_files_of_this_request(index: Path, tmp_path: Path) -> None:
    request = Request(index)
    digest = request.digest()
    for name in FILES:
        assert not is_finished(digest, tmp_path)
        (tmp_path / name).write_text("a job that was requeued at its very end")
    assert not is_finished(digest, tmp_path)
    (tmp_path / FINISHED).write_text(f"{digest}\n")
    assert is_finished(digest, tmp_path) and not is_finished("another", tmp_path)
    train(request, digest, tmp_path)
    assert all("very end" in (tmp_path / name).read_text() for name in FILES), "not trained again"


def test_a_job_trains_on_what_it_was_asked_to(index: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="changed since this training was asked for"):
        train(Request(index), Request(index, code="earlier").digest(), tmp_path)
    assert not list(tmp_path.iterdir())
