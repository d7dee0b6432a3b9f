"""Videos as recorders leave them: clocks that can't be right, fields, oblong pixels, two videos."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.filter import Graph
from av.stream import Disposition

from affectflow.shards.files import open_complete
from affectflow.shards.frames import CONTENT, iterate
from affectflow.video.decode import plan_clip, read_clip
from affectflow.video.direct import iter_clips
from affectflow.video.extract import extract_shard
from affectflow.video.jpeg import encode
from affectflow.video.sampling import Sampling

EVERY = Sampling(per_clip=10_000)


def grey(number: int) -> int:
    return 20 + number * 11 % 220


def flat(shade: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), shade, np.uint8)


def write(
    path: Path,
    images: Iterable[np.ndarray],
    codec: str = "mpeg4",
    rate: int = 30,
    format: str | None = None,
    pixels: str = "yuv420p",
    shape: Fraction | None = None,
    graph: Callable[[int, int], Graph] | None = None,
    **options: str,
) -> Path:
    images = [*images]
    height, width = images[0].shape[:2]
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.bit_rate = 8_000_000
        if shape:
            stream.sample_aspect_ratio = shape
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def restamped(source: Path, target: Path, stamps: Sequence[int]) -> Path:
    """Copy a video without B-frames, with other times (ms), decode times in order."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        for packet, stamp in zip(packets, stamps, strict=True):
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.dts = packet.pts = stamp
            new.mux(packet)
    return target


def shades(images: Sequence[np.ndarray]) -> list[int]:
    return [int(np.median(image)) for image in images]


@pytest.mark.parametrize(
    "stamps",
    [[1000] * 60, [33 * i + (i > 29) * 1_700_000_000_000 for i in range(60)]],
    ids=["equal", "epoch"],
)
def test_a_file_with_such_a_clock(tmp_path: Path, stamps: list[int]) -> None:
    whole = write(tmp_path / "whole.mkv", [flat(grey(i)) for i in range(60)])
    path = restamped(whole, tmp_path / "clip.mkv", stamps)
    clip = read_clip(path, Sampling(fps=10))
    assert clip.status == "bad_times"
    assert clip.frame_index.tolist() == pytest.approx([*range(0, 60, 3)], abs=1)
    assert clip.duration == pytest.approx(2, abs=0.05)
    assert clip.detail


def test_raw_h264_has_no_times(tmp_path: Path) -> None:
    images = [flat(grey(i)) for i in range(30)]
    path = write(tmp_path / "clip.h264", images, "libx264", format="h264", bf="2")
    clip = read_clip(path, Sampling(fps=10))
    assert clip.status == "bad_times"
    assert "no frame has a time" in clip.detail
    assert clip.frames == 30
    assert 9 <= len(clip.images) <= 12


def ring(width: int, height: int) -> np.ndarray:
    """A ring that is round where the picture is shown 4:3."""
    y, x = np.indices((height, width))
    far = np.hypot((x + 0.5) / width * 4 - 2, (y + 0.5) / height * 3 - 1.5)
    return np.repeat(np.where(far < 1, 235, 20).astype(np.uint8)[..., None], 3, 2)


@pytest.mark.parametrize("size", [(320, 480), (720, 240), (240, 480), (321, 479)])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.avi"])
def test_oblong_pixels_are_shown_square(tmp_path: Path, size: tuple[int, int], name: str) -> None:
    width, height = size
    shape = Fraction(4 * height, 3 * width)
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    even = (width - width % 2, height - height % 2)
    path = write(tmp_path / name, [ring(*even)] * 3, codec, shape=shape.limit_denominator(255))
    (image, *_) = read_clip(path, EVERY).images
    bright = image[..., 0] > 127
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    assert len(columns) / len(rows) == pytest.approx(1, abs=0.03)
    assert image.shape[0] == even[1]


def test_oblong_pixels_of_a_turned_video(tmp_path: Path) -> None:
    """Its pixels are wide as they are stored: high as it is shown."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        stream.sample_aspect_ratio = Fraction(2, 1)
        stream.set_display_rotation(degrees=90, hflip=False)
        frame = av.VideoFrame.from_ndarray(flat(99, (64, 96)), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (image,) = read_clip(path, EVERY).images
    assert image.shape == (128, 96, 3)


@pytest.mark.parametrize("asked", [{"fps": 10}, {"per_clip": 4}])
def test_the_same_on_disk_and_right_from_the_video(tmp_path: Path, asked: dict[str, Any]) -> None:
    write(
        tmp_path / "fields.mp4",
        [two_fields(i) for i in range(20)],
        "libx264",
        shape=Fraction(4, 3),
        **{"x264-params": "tff=1"},
    )
    two_videos(tmp_path / "two.mkv", (LARGE, SMALL), (NO, DEFAULT))
    whole = write(tmp_path / "whole.mkv", [flat(grey(i)) for i in range(20)])
    restamped(whole, tmp_path / "clock.mkv", [1000] * 20)
    (tmp_path / "pipe.avi").mkdir()
    names = ["fields.mp4", "two.mkv", "clock.mkv", "pipe.avi"]
    extract_shard([(name, name) for name in names], tmp_path, asked, tmp_path / "frames.h5")
    direct = [*iter_clips([(name, name) for name in names], tmp_path, asked)]
    statuses = ["ok", "ambiguous", "bad_times", "undecodable"]
    assert [clip.status for clip in direct] == statuses
    with open_complete(tmp_path / "frames.h5", CONTENT) as file:
        for clip, stored in zip(direct, iterate(file), strict=True):
            assert (clip.status, clip.detail) == (stored.status, stored.detail)
            assert clip.time.tolist() == stored.time.tolist()
            for image, jpeg in zip(clip.images, stored.images, strict=True):
                assert np.array_equal(encode(image), jpeg)


def test_a_shape_that_cannot_be_is_taken_as_square(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.mkv", [flat(99)] * 3, "libx264", shape=Fraction(60000, 1))
    clip = read_clip(path, Sampling(per_clip=3))
    assert clip.images[0].shape == (48, 64, 3)


def moving_bar(place: float, size: tuple[int, int] = (128, 96)) -> np.ndarray:
    image = flat(30, size)
    image[:, int(place) : int(place) + 24] = 220
    return image


def two_fields(i: int) -> np.ndarray:
    """A camera's two half pictures: the lower lines a sixtieth of a second later."""
    image = moving_bar(8 * i)
    image[1::2] = moving_bar(8 * i + 4)[1::2]
    return image


def combing(image: np.ndarray) -> float:
    """How far lines are from the mean of their neighbours."""
    lines = image[..., 0].astype(float)
    return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean())


@pytest.mark.parametrize(("frames", "asked"), [(2, 2), (10, 10), (10, 3)])
def test_interlaced_videos_are_not_combed(tmp_path: Path, frames: int, asked: int) -> None:
    images = [two_fields(i) for i in range(frames)]
    path = write(tmp_path / "clip.mp4", images, "libx264", **{"x264-params": "tff=1"})
    with av.open(str(path)) as container:
        flags = [frame.interlaced_frame for frame in container.decode(video=0)]
    assert all(flags)
    clip = read_clip(path, Sampling(per_clip=asked))
    assert (clip.status, clip.frames) == ("ok", frames)
    assert clip.time == pytest.approx(clip.frame_index / 30, abs=1e-6)
    assert combing(images[0]) > 10
    for place, image in zip(clip.frame_index.tolist(), clip.images, strict=True):
        assert combing(image) < 3
        first_bright = np.flatnonzero(image[48, :, 0] > 127)[0]
        assert first_bright == pytest.approx(8 * place, abs=5)


def test_progressive_videos_are_left_alone(tmp_path: Path) -> None:
    """Also where their content looks combed."""
    images = [two_fields(i) for i in range(5)]
    clip = read_clip(write(tmp_path / "clip.mkv", images, "ffv1", pixels="bgr0"), EVERY)
    assert all((a == b).all() for a, b in zip(clip.images, images, strict=True))


def two_videos(
    path: Path, sizes: Sequence[tuple[int, int]], dispositions: Sequence[Disposition]
) -> Path:
    """Write two videos into a file: grey(1) and grey(2)."""
    with av.open(str(path), "w") as container:
        streams = []
        for (width, height), disposition in zip(sizes, dispositions, strict=True):
            stream = container.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = disposition
            streams.append(stream)
        for i in range(20):
            for number, stream in enumerate(streams):
                image = flat(grey(number + 1), (stream.width, stream.height))
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 30)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


NO, DEFAULT, COVER = Disposition(0), Disposition.default, Disposition.attached_pic
SMALL, LARGE = (64, 48), (128, 96)


@pytest.mark.parametrize(
    ("sizes", "dispositions", "used"),
    [
        ((LARGE, SMALL), (NO, DEFAULT), 2),
        ((SMALL, LARGE), (DEFAULT, NO), 1),
        ((SMALL, LARGE), (NO, NO), 2),
        ((SMALL, SMALL), (DEFAULT, DEFAULT), 1),
    ],
)
def test_of_two_videos_the_default_one(
    tmp_path: Path, sizes: Any, dispositions: Any, used: int
) -> None:
    clip = read_clip(two_videos(tmp_path / "clip.mkv", sizes, dispositions), Sampling(per_clip=20))
    assert shades(clip.images) == pytest.approx([grey(used)] * 20, abs=4)
    assert clip.status == "ambiguous"
    width, height = sizes[used - 1]
    assert clip.detail.startswith(f"2 video streams: #{used - 1} ({width} x {height}) is used")


def test_a_file_of_two_videos_without_marks(tmp_path: Path) -> None:
    clip = read_clip(two_videos(tmp_path / "clip.avi", (SMALL, LARGE), (NO, NO)), EVERY)
    assert shades(clip.images) == pytest.approx([grey(2)] * 20, abs=4)


def without_packets(source: Path, target: Path, lost: Sequence[int]) -> Path:
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for place, packet in enumerate(p for p in old.demux(video=0) if p.size):
            if place not in lost:
                packet.stream = stream
                new.mux(packet)
    return target


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "mpeg2video"])
def test_frames_before_the_first_key_frame_are_left_out(tmp_path: Path, codec: str) -> None:
    """They are changes to a picture that isn't there: grey with smears."""
    random = np.random.default_rng(0)
    scene = random.integers(60, 200, (48, 64, 3), np.uint8).repeat(2, 0).repeat(2, 1)
    images = [np.roll(scene, i, 1) for i in range(40)]
    how = {"g": "20", "bf": "0", "sc_threshold": "0" if codec == "libx264" else "1000000000"}
    whole = write(tmp_path / "whole.mkv", images, codec, **how)
    path = without_packets(whole, tmp_path / "clip.mkv", [0])
    clip = read_clip(path, EVERY)
    assert clip.frames == 20
    (expected,) = (read_clip(whole, EVERY).images[20:21],)
    assert np.abs(clip.images[0].astype(int) - expected[0]).mean() < 1
    if codec == "mpeg4":
        assert clip.status == "truncated"
        assert "left out until the first key frame: 19" in clip.detail


@pytest.mark.parametrize(
    ("codec", "pixels", "name"),
    [
        ("svq1", "yuv410p", "clip.mov"),
        ("qtrle", "rgb24", "clip.mov"),
        ("msvideo1", "rgb555le", "clip.avi"),
        ("flashsv", "bgr24", "clip.flv"),
        ("cfhd", "yuv422p10le", "clip.mov"),
    ],
)
def test_decoders_that_mark_no_key_frame(
    tmp_path: Path, codec: str, pixels: str, name: str
) -> None:
    images = [flat(grey(i), (128, 96)) for i in range(10)]
    clip = read_clip(write(tmp_path / name, images, codec, pixels=pixels), Sampling(per_clip=10))
    assert (clip.status, clip.frames) == ("ok", 10), clip.detail
    assert shades(clip.images) == pytest.approx([grey(i) for i in range(10)], abs=10)


def test_a_stream_without_key_frames_is_decoded(tmp_path: Path) -> None:
    """It is refreshed bit by bit, and was joined on the way."""
    images = [np.roll(ring(128, 96), i, 1) for i in range(120)]
    refreshed = {"x264-params": "intra-refresh=1:keyint=30", "bf": "0"}
    whole = write(tmp_path / "whole.mkv", images, "libx264", **refreshed)
    clip = read_clip(without_packets(whole, tmp_path / "clip.mkv", [0]), EVERY)
    assert clip.frames > 40
    assert np.abs(clip.images[-1].astype(int) - images[-1]).mean() < 12


def patched(path: Path, target: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data
    target.write_bytes(data.replace(old, new))
    return target


def test_headers_that_claim_too_much(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.avi", [flat(grey(i)) for i in range(20)])
    count = patched(
        whole, tmp_path / "count.avi",
        struct.pack("<II", 0, 20), struct.pack("<II", 0, 10**9),
    )  # fmt: skip
    clip = read_clip(count, Sampling(fps=10))
    assert (clip.status, clip.frames) == ("truncated", 20)
    assert "20 of 1000000000 declared frames decode" in clip.detail
    size = patched(
        whole, tmp_path / "size.avi",
        struct.pack("<II", 64, 48), struct.pack("<II", 30000, 30000),
    )  # fmt: skip
    assert plan_clip(size, Sampling(fps=10)).frames == 20


def test_a_frame_too_large_for_memory(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        frame = av.VideoFrame.from_ndarray(flat(9), format="rgb24")
        (packet,) = stream.encode(frame)
        data = bytes(packet)
        huge = av.Packet(data.replace(struct.pack(">II", 64, 48), struct.pack(">II", 30000, 30000)))
        huge.stream, huge.pts, huge.dts, huge.time_base = stream, 0, 0, packet.time_base
        container.mux(huge)
    clip = read_clip(path, Sampling(fps=10))
    assert (clip.status, clip.images) == ("undecodable", [])


@pytest.mark.parametrize(
    ("codec", "pixels", "name"),
    [
        ("ffv1", "gray", "clip.mkv"),
        ("ffv1", "gray16le", "clip.mkv"),
        ("ffv1", "yuv420p10le", "clip.mkv"),
        ("ffv1", "yuva420p", "clip.mkv"),
        ("libx265", "yuv420p10le", "clip.mp4"),
        ("mjpeg", "yuvj420p", "clip.avi"),
        ("libvpx-vp9", "yuva420p", "clip.webm"),
        ("png", "rgba", "clip.mov"),
        ("png", "rgb48be", "clip.mov"),
        ("gif", "rgb8", "clip.gif"),
        ("apng", "rgba", "clip.apng"),
        ("rawvideo", "yuyv422", "clip.avi"),
        ("huffyuv", "yuv422p", "clip.avi"),
        ("mpeg2video", "yuv420p", "clip.mpg"),
        ("mpeg2video", "yuv420p", "clip.ts"),
    ],
)
def test_pixels_of_all_kinds(tmp_path: Path, codec: str, pixels: str, name: str) -> None:
    more = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    images = [flat(shade, (160, 120)) for shade in (30, 90, 150, 210)]
    path = write(tmp_path / name, images, codec, 25, pixels=pixels, **more)
    clip = read_clip(path, Sampling(per_clip=4))
    assert (clip.status, clip.frames) == ("ok", 4), clip.detail
    tolerance = 20 if codec == "gif" else 6
    assert shades(clip.images) == pytest.approx([30, 90, 150, 210], abs=tolerance)


def test_a_video_that_changes_its_size(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / f"{i}.ts", [flat(grey(i), size)] * 10, "mpeg2video", format="mpegts")
        for i, size in enumerate(((64, 48), (128, 96)))
    ]
    path = tmp_path / "clip.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    clip = read_clip(path, EVERY)
    assert {image.shape for image in clip.images} == {(48, 64, 3), (96, 128, 3)}
    # The decoder gives up the frame that it holds back when the size changes.
    assert clip.frames == 19
    assert np.diff(clip.time) == pytest.approx(np.full(18, 1 / 30), abs=0.035)
    assert clip.duration == pytest.approx(20 / 30, abs=0.07)
