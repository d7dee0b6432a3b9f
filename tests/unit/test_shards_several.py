"""Many shards read as one: the right rows, or an error that names the shard; never fill values."""

from __future__ import annotations

import logging
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import without_rights
from training_sequences import TASKS, arrays

from affectflow.errors import UserError
from affectflow.shards.embeddings import embedding_rows, join, open_joined
from affectflow.shards.files import SEAL_BYTES, create, made_by, open_complete
from affectflow.shards.origin import differences
from affectflow.shards.several import rows_of
from affectflow.training.data import assemble

SOURCE = Path(__file__).parents[2] / "src"


def write_shard(
    path: Path, numbers: list[int], frames: int = 3, origin: dict[str, Any] | None = None
) -> Path:
    """Write clips whose embeddings are all their number."""
    with create(path, "embeddings", origin or {}) as file:
        rows = embedding_rows(file, frames, 2)
        for number in numbers:
            values = np.full((frames, 2), number, np.float16)
            rows.append(
                {"clip_id": f"c{number}"}, {"embedding": values, "mask": np.ones(frames, bool)}
            )
    return path


def write_joined(top: Path) -> Path:
    shards = [write_shard(top / "b" / f"{i}.h5", [2 * i + 1, 2 * i + 2]) for i in range(4)]
    join(shards, top / "b.h5")
    return top / "b.h5"


@pytest.fixture
def joined(tmp_path: Path) -> Path:
    return write_joined(tmp_path)


WORK = """
import resource, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from affectflow.shards.embeddings import embedding_rows, join, open_joined
from affectflow.shards.files import create
top, count = Path(sys.argv[2]), 120
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
shards = [top / "b" / f"{i:03d}.h5" for i in range(count)]
for i, shard in enumerate(shards):
    with create(shard, "embeddings", {}) as file:
        values = {"embedding": np.full((2, 2), i + 1, np.float16), "mask": np.ones(2, bool)}
        embedding_rows(file, 2, 2).append({"clip_id": f"{i}"}, values)
join(shards, top / "b.h5")
with open_joined(top / "b.h5") as (embedding, mask, clips):
    assert embedding[:][:, 0, 0].tolist() == list(range(1, count + 1))
    assert embedding[np.arange(count)[::-1]][:, 1, 1].tolist() == list(range(count, 0, -1))
    assert mask.all() and len(clips) == count
    import torch
    from torch.utils.data import DataLoader  # and what comes with torch finds room for its files
"""


def test_more_shards_than_open_files(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORK, str(SOURCE), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def missing(shard: Path) -> None:
    shard.unlink()


def moved(shard: Path) -> None:
    shard.rename(shard.with_name("moved.h5"))


def no_file(shard: Path) -> None:
    shard.unlink()
    shard.mkdir()


def truncated(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-100])


def emptied(shard: Path) -> None:
    shard.write_bytes(b"")


def fewer(shard: Path) -> None:
    write_shard(shard, [5])


def more(shard: Path) -> None:
    write_shard(shard, [5, 6, 99])


def other_content(shard: Path) -> None:
    with create(shard, "faces", {}):
        pass


def other_numbers(shard: Path) -> None:
    write_shard(shard, [50, 60])


FATES = [
    missing, moved, no_file, truncated, emptied, fewer, more, other_content, other_numbers,
]  # fmt: skip


@pytest.mark.parametrize("fate", FATES)
def test_a_shard_that_is_gone_or_another_is_named(
    joined: Path, fate: Callable[[Path], None]
) -> None:
    fate(joined.parent / "b" / "2.h5")
    with pytest.raises(UserError, match=r"2\.h5"), open_joined(joined):
        pass


@pytest.mark.parametrize("fate", FATES)
def test_so_is_one_that_goes_while_the_others_are_read(
    joined: Path, fate: Callable[[Path], None]
) -> None:
    with open_joined(joined) as (embedding, _, _):
        assert embedding[:4][:, 0, 0].tolist() == [1, 2, 3, 4]
        fate(joined.parent / "b" / "2.h5")
        if fate is truncated:
            # Its first block is the same, which is all that is looked at again.
            with pytest.raises(UserError, match=r"2\.h5.*cannot be read"):
                embedding[4:6]
        else:
            with pytest.raises(UserError, match=r"2\.h5"):
                embedding[4:6]
        assert embedding[6:][:, 0, 0].tolist() == [7, 8]


REFUSED = r"2\.h5: cannot be read: Permission denied\n.*chmod"


def test_a_shard_that_may_not_be_read_is_named(seen_by_all: Path) -> None:
    joined = write_joined(seen_by_all)
    for path in (joined, *joined.parent.glob("b/*.h5")):
        path.chmod(0o644)
    (joined.parent / "b").chmod(0o755)
    with open_joined(joined) as (embedding, _, _):
        assert embedding[:4][:, 0, 0].tolist() == [1, 2, 3, 4]
        (joined.parent / "b" / "2.h5").chmod(0)
        with without_rights(), pytest.raises(UserError, match=REFUSED):
            embedding[4:6]
    with without_rights(), pytest.raises(UserError, match=REFUSED), open_joined(joined):
        pass


def test_too_many_open_files_is_said_with_the_remedy(joined: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open_joined(joined) as (embedding, _, _):
        with Path(os.devnull).open() as file:
            free = file.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
        try:
            with pytest.raises(UserError, match=r"0\.h5: cannot be read: Too many open files"):
                embedding[0]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_other_readers_of_the_joined_file_see_that_a_shard_is_gone(joined: Path) -> None:
    (joined.parent / "b" / "2.h5").unlink()
    with h5py.File(joined) as file:
        embedding, mask = file["embedding"][:], file["mask"][:]
    assert mask.all()
    assert np.isnan(embedding).all(axis=(1, 2)).tolist() == [False] * 4 + [True] * 2 + [False] * 2


def test_a_file_that_an_older_version_joined_is_refused(joined: Path) -> None:
    with create(joined, "embeddings", {"shards": {}}) as file:
        layout = h5py.VirtualLayout((2, 3), np.bool_)
        layout[:] = h5py.VirtualSource("b/0.h5", "mask", shape=(2, 3))
        file.create_virtual_dataset("mask", layout)
        file.create_dataset("clip_id", data=["a", "b"])
    with pytest.raises(UserError, match="not joined by this version"), open_joined(joined):
        pass


@settings(max_examples=25)
@given(rows=st.lists(st.integers(0, 7), max_size=20))
def test_rows_in_any_order_and_more_than_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[int]
) -> None:
    top = tmp_path_factory.mktemp("rows")
    shards = [write_shard(top / f"{i}.h5", [2 * i, 2 * i + 1], 2 + i) for i in range(4)]
    join(shards, top / "joined.h5")
    index = np.array(rows, dtype=np.int64)
    with open_joined(top / "joined.h5") as (embedding, mask, _):
        whole = embedding[:]
        assert not whole[~mask].any(), "frames that a clip does not have are zeros"
        np.testing.assert_array_equal(embedding[index], whole[index])
    with h5py.File(shards[0]) as file:
        index = index[index < 2]
        found = rows_of(file["embedding"].__getitem__, index)
        np.testing.assert_array_equal(found, file["embedding"][:][index])


@settings(max_examples=25)
@given(draws=st.lists(st.integers(0, 170), min_size=1, max_size=40))
def test_clips_drawn_more_than_once_are_read_from_a_file(
    tmp_path_factory: pytest.TempPathFactory, draws: list[int]
) -> None:
    """What `sampling: balanced` asks for, of embeddings that are too large for memory."""
    embedding, mask, ids, table = arrays()
    plain = assemble(embedding, mask, ids, table, TASKS, frames=4)
    with h5py.File(tmp_path_factory.mktemp("draws") / "e.h5", "w") as file:
        file["embedding"] = embedding
        data = assemble(file["embedding"], mask, ids, table, TASKS, 4, memory=0)
        assert isinstance(data.embedding, h5py.Dataset)
        clips = np.array(draws)
        np.testing.assert_array_equal(data.read(clips), plain.read(clips))


def test_shards_of_other_weights_are_not_joined(tmp_path: Path) -> None:
    shards = [
        write_shard(tmp_path / "b" / f"{i}.h5", [i], origin={"backbone": "b", "weights": weights})
        for i, weights in enumerate(("aaa", "bbb", "aaa"))
    ]
    with pytest.raises(UserError, match="different weights") as refused:
        join(shards, tmp_path / "b.h5")
    said = str(refused.value)
    assert "aaa (0.h5, 2.h5)" in said and "bbb (1.h5)" in said and "Remove" in said
    assert not (tmp_path / "b.h5").exists()


@pytest.mark.parametrize("key", ["faces", "sampling"])
def test_shards_of_faces_found_otherwise_are_not_joined(tmp_path: Path, key: str) -> None:
    shards = [
        write_shard(tmp_path / f"{i}.h5", [i], origin={"faces_made_by": [{key: {"a": i}}]})
        for i in range(2)
    ]
    with pytest.raises(UserError, match=r"different settings of `(faces|frames)`"):
        join(shards, tmp_path / "b.h5")


def test_shards_of_other_precision_are_joined_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shards = [
        write_shard(
            tmp_path / f"{i}.h5", [i], origin={"backbone": "b", "weights": "a", "precision": how}
        )
        for i, how in enumerate(("fp32", "bf16", "fp32"))
    ]
    with caplog.at_level(logging.WARNING):
        join(shards, tmp_path / "b.h5")
    assert "2 precisions: bf16 (1 shard), fp32 (2 shards)" in caplog.text
    with open_complete(tmp_path / "b.h5", "embeddings") as file:
        origin = made_by(file)
    assert origin["precision"] == {"bf16": 1, "fp32": 2}
    assert origin["weights"] == "a"
    assert len(differences(origin)) == 1


def test_a_clip_in_two_shards_is_refused(tmp_path: Path) -> None:
    shards = [write_shard(tmp_path / f"{i}.h5", [7]) for i in range(2)]
    with pytest.raises(UserError, match="clip c7 is in more than one shard"):
        join(shards, tmp_path / "b.h5")


def test_equal_shards_differ_in_nothing(joined: Path) -> None:
    with open_complete(joined, "embeddings") as file:
        assert not differences(made_by(file))
    assert joined.stat().st_size > SEAL_BYTES
