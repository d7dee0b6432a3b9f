import gc
import tracemalloc
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from affectflow.errors import UserError
from affectflow.video.decode import iter_frames, plan_clip, read_clip
from affectflow.video.sampling import Sampling

EVERY = Sampling(per_clip=10_000)


def grey(number: int) -> int:
    return 20 + number * 11 % 220


def write(
    path: Path,
    frames: int = 20,
    codec: str = "mpeg4",
    size: tuple[int, int] = (64, 48),
    ticks: Sequence[int] | None = None,
    rate: int = 30,
    audio: bool = False,
    turn: dict[str, Any] | None = None,
    b_frames: int = 0,
    container_options: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """Write a video whose frame i is grey(i), with a bright top left corner."""
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = {"ffv1": "bgr0", "png": "rgb24"}.get(codec, "yuv420p")
        stream.bit_rate = 4_000_000
        stream.codec_context.max_b_frames = b_frames
        if turn:
            stream.set_display_rotation(**turn)
        if audio:
            sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
            silence.sample_rate = 8000
            container.mux(sound.encode(silence))
        for i, tick in enumerate(ticks or range(frames)):
            image = np.full((size[1], size[0], 3), grey(i), np.uint8)
            image[: size[1] // 4, : size[0] // 4] = 255
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shades(images: Sequence[np.ndarray]) -> list[int]:
    return [int(np.median(image)) for image in images]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("xvid.avi", {}),
        ("xvid_b.avi", {"b_frames": 2}),
        ("h264.mp4", {"codec": "libx264"}),
        ("h264_b.mp4", {"codec": "libx264", "b_frames": 3}),
        ("no_count.mkv", {"codec": "libx264", "b_frames": 2}),
        ("sound.mkv", {"audio": True}),
    ],
)
def test_every_frame_in_order(tmp_path: Path, name: str, how: dict[str, Any]) -> None:
    clip = read_clip(write(tmp_path / name, 20, **how), Sampling(per_clip=20))
    assert (clip.status, clip.detail, clip.frames) == ("ok", "", 20)
    assert clip.frame_index.tolist() == list(range(20))
    assert clip.frame_index.dtype == np.int64
    assert clip.time == pytest.approx(np.arange(20) / 30, abs=1e-3)
    assert clip.duration == pytest.approx(20 / 30, abs=2e-3)
    assert shades(clip.images) == pytest.approx([grey(i) for i in range(20)], abs=4)
    assert all(image.dtype == np.uint8 and image.shape == (48, 64, 3) for image in clip.images)


def test_colours_and_odd_sizes(tmp_path: Path) -> None:
    path = write(tmp_path / "odd.mkv", 3, "ffv1", size=(321, 241))
    images = read_clip(path, Sampling(per_clip=3)).images
    assert images[0].shape == (241, 321, 3)
    assert (images[2][:60, :80] == 255).all()
    assert (images[2][61:, 81:] == grey(2)).all()
    odd = read_clip(write(tmp_path / "odd.mp4", 3, size=(321, 241)), Sampling(per_clip=3))
    assert odd.images[0].shape == (241, 321, 3)


def test_even_sampling_and_short_clips(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.avi", 20)
    some = read_clip(path, Sampling(per_clip=5))
    assert some.frame_index.tolist() == [2, 6, 10, 14, 18]
    assert shades(some.images) == pytest.approx([grey(i) for i in some.frame_index], abs=4)
    short = read_clip(path, Sampling(per_clip=100))
    assert (short.status, short.detail) == ("short", "20 frames, 100 asked")
    assert len(short.images) == 20


def test_variable_frame_rate(tmp_path: Path) -> None:
    ticks = [0, 100, 200, 1200, 1210, 1220, 1300]
    path = write(tmp_path / "vfr.mkv", codec="libx264", ticks=ticks, rate=1000)
    clip = read_clip(path, Sampling(fps=5))
    # Shown at 0, 0.2, 0.4 .. 1.2 s: the third frame stays for a second.
    assert clip.status == "ok"
    assert clip.frame_index.tolist() == [0, 2, 3]
    assert clip.time == pytest.approx([0, 0.2, 1.2], abs=2e-3)
    assert shades(clip.images) == pytest.approx([grey(i) for i in (0, 2, 3)], abs=4)


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
@pytest.mark.parametrize("hflip", [False, True])
def test_turned_and_mirrored_videos_come_upright(tmp_path: Path, degrees: int, hflip: bool) -> None:
    turn = {"degrees": degrees, "hflip": hflip}
    stored = read_clip(write(tmp_path / "as_is.mp4", 1), EVERY).images[0]
    shown = read_clip(write(tmp_path / "turned.mp4", 1, turn=turn), EVERY).images[0]
    expected = np.rot90(stored, degrees // 90)
    if hflip:
        expected = expected[:, ::-1]
    assert (shown == expected).all()


def test_packed_bitstream(tmp_path: Path) -> None:
    """DivX and old XVID put a B-frame into its neighbour's packet, and an empty frame after it."""
    plain = write(tmp_path / "plain.avi", 21, b_frames=1)
    with av.open(str(plain)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]

    def picture(packet: bytes) -> int:
        return packet[packet.index(b"\0\0\1\xb6") + 4] >> 6

    packed, i = [], 0
    while i < len(packets):
        if i + 1 < len(packets) and picture(packets[i + 1]) == 2:
            packed += [packets[i] + packets[i + 1], b"\0\0\1\xb6\x50"]
            i += 2
        else:
            packed.append(packets[i])
            i += 1
    maker, rest = packed[0].index(b"\0\0\1\xb2"), packed[0].index(b"\0\0\1\xb3")
    packed[0] = packed[0][:maker] + b"\0\0\1\xb2DivX503b1393p\0" + packed[0][rest:]
    path = tmp_path / "packed.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for place, data in enumerate(packed):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 30)
            packet.pts = packet.dts = place
            packet.is_keyframe = place == 0
            container.mux(packet)

    clip = read_clip(path, Sampling(per_clip=21))
    assert (clip.status, clip.frames) == ("ok", 21)
    assert shades(clip.images) == shades(read_clip(plain, EVERY).images)
    assert (np.diff(clip.time) >= 0).all()
    assert np.diff(clip.time).mean() == pytest.approx(1 / 30, rel=0.1)


def test_trimmed_mp4_is_not_truncated(tmp_path: Path) -> None:
    """Frames that an edit list hides are in the header's count and are never shown."""
    path = write(
        tmp_path / "trimmed.mp4",
        codec="libx264",
        ticks=range(-20, 40),
        container_options={"avoid_negative_ts": "disabled"},
    )
    clip = plan_clip(path, Sampling(per_clip=10))
    assert (clip.status, clip.detail, clip.frames) == ("ok", "", 40)


def test_a_video_of_which_little_is_shown_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path / "trimmed.mp4",
        codec="libx264",
        ticks=range(-40, 20),
        container_options={"avoid_negative_ts": "disabled"},
    )
    clip = plan_clip(path, Sampling(per_clip=10))
    assert (clip.status, clip.frames) == ("ambiguous", 20)
    assert clip.detail == "the file's edit list shows 20 of its 60 frames"


def test_truncated(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.avi", 60, g="1")
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    clip = read_clip(cut, EVERY)
    assert clip.status == "truncated"
    assert 0 < clip.frames < 60
    assert clip.detail.startswith(f"{clip.frames} of 60 declared frames decode")
    assert shades(clip.images[:-1]) == pytest.approx(
        [grey(i) for i in range(clip.frames - 1)], abs=4
    )


def test_mp4_cut_behind_its_index(tmp_path: Path) -> None:
    whole = write(
        tmp_path / "whole.mp4",
        60,
        "libx264",
        size=(320, 240),
        container_options={"movflags": "faststart"},
        g="1",
    )
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    clip = read_clip(cut, EVERY)
    assert clip.status == "truncated"
    assert 0 < clip.frames < 60
    assert "of 60 declared frames decode" in clip.detail


def test_damage_in_the_middle_costs_only_what_it_hit(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every frame is a key frame; the third and fourth are overwritten."""
    path = write(tmp_path / "intra.mov", 20, "png")
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in packets[2:4]:
        start = data.index(bytes(packet))
        data[start : start + packet.size] = bytes(packet.size)
    path.write_bytes(data)

    clip = read_clip(path, EVERY)
    assert clip.status == "truncated"
    assert clip.detail.startswith("18 of 20 declared frames decode; damaged packets: 2")
    assert shades(clip.images) == [grey(i) for i in range(20) if i not in (2, 3)]
    assert clip.time[2] == pytest.approx(4 / 30, abs=2e-3)
    some = read_clip(path, Sampling(per_clip=6))
    assert len(some.images) == 6
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_random_damage_never_raises(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = write(tmp_path / "whole.avi", 40, size=(128, 96), b_frames=1).read_bytes()
    for seed in range(20):
        random = np.random.default_rng(seed)
        data = np.frombuffer(whole, np.uint8).copy()
        hits = random.integers(0, len(data), 60)
        data[hits] = random.integers(0, 256, 60)
        path = tmp_path / f"{seed}.avi"
        path.write_bytes(data.tobytes())
        clip = read_clip(path, Sampling(per_clip=10))
        assert len(clip.images) == len(clip.time) == min(10, clip.frames)
        assert (np.diff(clip.frame_index) > 0).all()
        assert (clip.status == "undecodable") == (clip.frames == 0)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def sound_only(path: Path) -> None:
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        silence.sample_rate = 8000
        container.mux(stream.encode(silence))


@pytest.mark.parametrize(
    ("make", "detail"),
    [
        (lambda path: None, "file is missing"),
        (lambda path: path.mkdir(), "file is missing"),
        (lambda path: path.touch(), "file is empty"),
        (lambda path: path.write_text("this is no video\n" * 50), "not a video"),
        (sound_only, "no video stream"),
        (
            lambda path: path.write_bytes(write(path).read_bytes().replace(b"FMP4", b"ZZZZ")),
            "no decoder",
        ),
    ],
    ids=["missing", "folder", "empty", "text", "sound", "codec"],
)
def test_undecodable(
    tmp_path: Path, make: Any, detail: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "clip.avi"
    make(path)
    clip = read_clip(path, Sampling(fps=10))
    assert clip.status == "undecodable"
    assert detail in clip.detail
    assert (clip.frames, clip.images, len(clip.frame_index), len(clip.time)) == (0, [], 0, 0)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_a_file_that_changes_under_us_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.avi", 20)
    plan = plan_clip(path, EVERY)
    write(path, 5)
    with pytest.raises(UserError, match="changed while it was read"):
        list(iter_frames(plan))


def test_memory_does_not_grow_with_the_video(tmp_path: Path) -> None:
    path = write(tmp_path / "long.avi", 400, size=(320, 240))
    plan = plan_clip(path, Sampling(fps=30))
    tracemalloc.start()
    try:
        assert sum(frame.image.shape[0] == 240 for frame in iter_frames(plan)) == 400
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * 320 * 240 * 3


def test_frames_are_not_left_to_the_garbage_collector(tmp_path: Path) -> None:
    """Libav's memory is none of Python's: what counts is that a frame goes when it was used."""
    path = write(tmp_path / "turned.mp4", 60, turn={"degrees": 90, "hflip": False})
    plan = plan_clip(path, EVERY)
    gc.collect()
    gc.disable()
    try:
        assert len([frame.index for frame in iter_frames(plan)]) == 60
        left = sum(type(each) is av.VideoFrame for each in gc.get_objects())
    finally:
        gc.enable()
    assert left <= 2


@pytest.mark.parametrize(
    ("clip", "status", "detail", "frames"),
    [
        ("Train/210001/2100011001/2100011001.avi", "ok", "", 300),
        ("Train/210002/2100021001/2100021001.mp4", "ok", "", 300),
        ("Validation/310002/3100021001/3100021001.avi", "short", "72 frames, 100 asked", 72),
        ("Test/410005/4100051001/4100051001.avi", "undecodable", "file is empty", 0),
        (
            "Test/410005/4100051002/4100051002.avi",
            "truncated",
            "9 of 300 declared frames decode",
            9,
        ),
        ("Test/410005/4100051003/4100051003.avi", "undecodable", "not a video", 0),
    ],
)
def test_corpus(real_corpus: Path, clip: str, status: str, detail: str, frames: int) -> None:
    plan = plan_clip(real_corpus / "DataSet" / clip, Sampling(per_clip=100))
    assert (plan.status, plan.frames) == (status, frames)
    assert plan.detail.startswith(detail) if detail else plan.detail == ""
    assert len(plan.frame_index) == min(100, frames)
