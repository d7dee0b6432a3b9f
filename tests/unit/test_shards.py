from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.errors import DamagedFileError, UserError
from affectflow.shards.embeddings import embedding_rows, frame_counts, join, open_joined
from affectflow.shards.faces import face_rows
from affectflow.shards.files import create, made_by, open_complete, texts
from affectflow.shards.frames import FrameWriter, iterate


def read_joined(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    with open_joined(path) as (embedding, mask, clips):
        return embedding[:], mask[:], clips


def write_embeddings(path: Path, clips: dict[str, int], frames: int, dim: int = 4) -> None:
    """Write clips whose embedding is their number."""
    with create(path, "embeddings", {}) as file:
        rows = embedding_rows(file, frames, dim)
        for clip, number in clips.items():
            mask = np.arange(frames) != 1
            values = np.full((frames, dim), number, np.float16) * mask[:, None]
            rows.append({"clip_id": clip}, {"embedding": values, "mask": mask})


def test_unfinished_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with pytest.raises(RuntimeError), create(path, "faces", {}):
        raise RuntimeError("killed")
    assert not path.exists()
    with h5py.File(path, "w") as file:
        file.attrs["content"] = "faces"
    with pytest.raises(DamagedFileError, match="never finished"), open_complete(path, "faces"):
        pass


def test_truncated_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_embeddings(path, {"a": 1}, 3)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DamagedFileError, match="damaged"), open_complete(path, "embeddings"):
        pass


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_wherever_it_is(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.h5"
    write_embeddings(path, {"a": 1, "b": 2}, 3)
    content = bytearray(path.read_bytes())
    seal = len(bytes(content[:512]).rstrip(b"\0"))
    # The rest of the first block is padding that nothing reads.
    where = int(place * (len(content) - 512 + seal))
    content[where if where < seal else where - seal + 512] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(DamagedFileError), open_complete(path, "embeddings"):
        pass


def test_a_damaged_file_is_moved_aside_for_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "shard-000.h5"
    write_embeddings(path, {"a": 1}, 3)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFileError) as damage, open_complete(path, "embeddings"):
        pass
    assert "shard-000.h5.damaged" in str(damage.value.move_aside())
    assert [file.name for file in tmp_path.iterdir()] == ["shard-000.h5.damaged"]
    # Another job that found the same at the same time.
    assert "shard-000.h5.damaged" in str(damage.value.move_aside())


def test_file_of_other_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_embeddings(path, {"a": 1}, 3)
    with pytest.raises(UserError, match="holds embeddings"), open_complete(path, "faces"):
        pass


def test_attributes_say_what_made_it(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with create(path, "faces", {"min_size": 60}):
        pass
    with open_complete(path, "faces") as file:
        assert made_by(file) == {"min_size": 60}
        assert "torch" in file.attrs["versions"]
        assert file.attrs["complete"]


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write_embeddings(tmp_path / name, {"x": 1, "y": 2}, 5)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_embeddings_take_less_than_half_of_float32(tmp_path: Path) -> None:
    """Numbers as a ReLU and a mean leave them, which are all of much the same size."""
    clips, frames, dim = 4, 300, 512
    numbers = np.random.default_rng(0).gamma(2.0, 0.5, (clips, frames, dim)).astype(np.float32)
    with create(tmp_path / "e.h5", "embeddings", {}) as file:
        rows = embedding_rows(file, frames, dim)
        for number, clip in enumerate(numbers):
            columns = {"embedding": clip, "mask": np.ones(frames, bool)}
            rows.append({"clip_id": str(number)}, columns)
    with open_complete(tmp_path / "e.h5", "embeddings") as file:
        np.testing.assert_array_equal(file["embedding"][:], numbers.astype(np.float16))
    assert (tmp_path / "e.h5").stat().st_size < 0.46 * numbers.nbytes


def test_frames_round_trip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = [
        ("a", "ok", "", np.array([0, 5]), np.array([0.0, 0.2])),
        ("b", "undecodable", "empty file", np.zeros(0, np.int64), np.zeros(0)),
        ("c", "ok", "", np.array([0, 2, 4]), np.array([0.0, 0.1, 0.2])),
    ]
    jpegs = [[rng.integers(0, 255, 9 + i, np.uint8) for i in clip[3]] for clip in clips]
    with create(tmp_path / "f.h5", "frames", {}) as file:
        writer = FrameWriter(file, 2)
        for clip, own in zip(clips, jpegs, strict=True):
            writer.append(*clip, iter(own))
    with open_complete(tmp_path / "f.h5", "frames") as file:
        for clip, own, read in zip(clips, jpegs, iterate(file), strict=True):
            assert (read.clip_id, read.status, read.detail) == clip[:3]
            assert read.frame_index.tolist() == clip[3].tolist()
            assert read.time.tolist() == clip[4].tolist()
            assert [j.tolist() for j in read.images] == [j.tolist() for j in own]


def test_longer_clip_widens_with_masked_frames(tmp_path: Path) -> None:
    with create(tmp_path / "f.h5", "faces", {}) as file:
        rows = face_rows(file, 2)
        for clip, n in (("a", 1), ("b", 4)):
            values = {
                "frame_index": np.arange(n),
                "time": np.arange(n) / 30,
                "box": np.ones((n, 4)),
                "landmarks": np.ones((n, 5, 2)),
                "score": np.ones(n),
                "face_count": np.ones(n),
                "mask": np.ones(n, bool),
                "crop": [np.arange(3, dtype=np.uint8)] * n,
            }
            rows.append({"clip_id": clip, "status": "ok", "detail": ""}, values)
    with open_complete(tmp_path / "f.h5", "faces") as file:
        assert file["mask"][:].tolist() == [[True, False, False, False], [True] * 4]
        assert file["frame_index"][0].tolist() == [0, -1, -1, -1]
        assert len(file["crop"][0, 3]) == 0
        assert file["crop"][1, 3].tolist() == [0, 1, 2]


@pytest.fixture
def joined(tmp_path: Path) -> Path:
    write_embeddings(tmp_path / "b" / "shard-000.h5", {"x": 1, "y": 2}, 3)
    write_embeddings(tmp_path / "b" / "shard-001.h5", {}, 3)
    write_embeddings(tmp_path / "b" / "shard-002.h5", {"z": 3}, 5)
    join([tmp_path / "b" / f"shard-{i:03d}.h5" for i in range(3)], tmp_path / "b.h5")
    return tmp_path / "b.h5"


def test_join_maps_every_clip(joined: Path) -> None:
    embedding, mask, clips = read_joined(joined)
    assert clips == ["x", "y", "z"]
    assert embedding.shape == (3, 5, 4) and embedding.dtype == np.float16
    assert mask.tolist() == [
        [True, False, True, False, False],
        [True, False, True, False, False],
        [True, False, True, True, True],
    ]
    assert embedding[:, 0, 0].tolist() == [1, 2, 3]
    assert not embedding[~mask].any(), "frames without a face are zeros"


def test_join_keeps_how_many_frames_each_clip_has(joined: Path) -> None:
    with open_joined(joined) as (embedding, _, _):
        assert frame_counts(embedding).tolist() == [3, 3, 5]
    with h5py.File(joined, "r+") as file:
        del file["frames"]
        with pytest.raises(UserError, match="does not say how many frames"):
            frame_counts(file["embedding"])


def test_join_copies_no_embedding(joined: Path) -> None:
    with h5py.File(joined) as file:
        assert file["embedding"].is_virtual and not file["mask"].is_virtual
        assert texts(file["clip_id"]) == ["x", "y", "z"]


def test_joined_folder_can_move(joined: Path, tmp_path: Path) -> None:
    before = read_joined(joined)[0]
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("b", "b.h5"):
        (tmp_path / name).rename(moved / name)
    assert np.array_equal(read_joined(moved / "b.h5")[0], before)


@pytest.mark.parametrize("fate", ["missing", "changed"])
def test_shard_that_is_not_the_joined_one_is_refused(joined: Path, fate: str) -> None:
    shard = joined.parent / "b" / "shard-002.h5"
    shard.unlink()
    if fate == "changed":
        write_embeddings(shard, {"z": 4}, 5)
    with pytest.raises(UserError, match="shard-002"):
        read_joined(joined)


def test_changed_shard_changes_the_joined_file(joined: Path) -> None:
    before = joined.read_bytes()
    shards = sorted((joined.parent / "b").glob("*.h5"))
    write_embeddings(shards[2], {"z": 9}, 5)
    join(shards, joined)
    assert joined.read_bytes() != before


def test_no_face_anywhere_is_told(tmp_path: Path) -> None:
    write_embeddings(tmp_path / "shard-000.h5", {}, 3)
    with pytest.raises(UserError, match="no clip of the study has a face"):
        join([tmp_path / "shard-000.h5"], tmp_path / "b.h5")


def test_shards_of_other_dimension_are_refused(tmp_path: Path) -> None:
    paths = [tmp_path / f"shard-00{i}.h5" for i in range(2)]
    for path, dim in zip(paths, (4, 8), strict=True):
        write_embeddings(path, {path.stem: 1}, 3, dim)
    with pytest.raises(UserError, match="differ in dimension"):
        join(paths, tmp_path / "b.h5")
