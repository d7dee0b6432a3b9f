import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.errors import UserError
from affectflow.video.sampling import TIMER, Sampling, choose, evenly_spaced, shown_at_rate


@given(st.integers(0, 2000), st.integers(1, 400))
def test_evenly_spaced_takes_the_middles_of_equal_parts(frames: int, per_clip: int) -> None:
    index = evenly_spaced(frames, per_clip)
    assert len(index) == min(frames, per_clip)
    assert (np.diff(index) > 0).all()
    parts = len(index)
    middles = (np.arange(parts) + 0.5) * frames / max(parts, 1)
    assert (np.abs(index + 0.5 - middles) <= 0.5 + 1e-9).all()


def test_evenly_spaced_by_hand() -> None:
    assert evenly_spaced(300, 100)[:3].tolist() == [1, 4, 7]
    assert evenly_spaced(300, 100)[-1] == 298
    assert evenly_spaced(10, 3).tolist() == [1, 5, 8]
    assert evenly_spaced(72, 100).tolist() == list(range(72))
    assert evenly_spaced(300, 1).tolist() == [150]


@given(
    st.lists(st.integers(10, 500), min_size=1, max_size=60),
    st.floats(0.5, 60),
    st.integers(0, 10_000),
)
def test_rate_takes_the_frame_shown_at_each_tick(
    gaps_ms: list[int], fps: float, start_ms: int
) -> None:
    times = (start_ms + np.concatenate([[0], np.cumsum(gaps_ms[:-1])])) / 1000
    end = times[-1] + gaps_ms[-1] / 1000
    index = shown_at_rate(times, end, fps)
    assert index[0] == 0
    assert (np.diff(index) > 0).all()

    ticks = times[0] + np.arange(int((end - times[0]) * fps) + 2) / fps
    inside = ticks[ticks < end - 2 * TIMER]
    shown = {max(i for i, time in enumerate(times) if time <= tick + TIMER) for tick in inside}
    assert shown <= set(index.tolist())
    for i in index:
        until = times[i + 1] if i + 1 < len(times) else end
        assert ((ticks >= times[i] - 2 * TIMER) & (ticks < until)).any()


def test_rate_by_hand() -> None:
    thirty = np.arange(300) / 30
    assert shown_at_rate(thirty, 10.0, 10).tolist() == list(range(0, 300, 3))
    assert shown_at_rate(thirty, 10.0, 30).tolist() == list(range(300))
    assert shown_at_rate(thirty, 10.0, 60).tolist() == list(range(300))
    # WebM's clock: 30 frames/s rounded to milliseconds.
    rounded = np.round(thirty, 3)
    assert shown_at_rate(rounded, 10.0, 15).tolist() == list(range(0, 300, 2))
    # A frame that stays for a second is looked at once.
    assert shown_at_rate([0.0, 0.1, 1.1], 1.2, 10).tolist() == [0, 1, 2]
    # Ticks at 0 and 0.5 s: the frames at 0.2 and 0.3 s go by unseen.
    assert shown_at_rate([0.0, 0.2, 0.3, 0.45], 0.9, 2).tolist() == [0, 3]


def test_no_frame_is_invented() -> None:
    assert choose([], 0.0, Sampling(per_clip=5)).tolist() == []
    assert choose([], 0.0, Sampling(fps=5)).tolist() == []
    assert choose([0.0], 0.0, Sampling(fps=5)).tolist() == [0]


@pytest.mark.parametrize(
    "settings", [{}, {"per_clip": 5, "fps": 2.0}, {"per_clip": 0}, {"fps": 0.0}, {"fps": np.inf}]
)
def test_sampling_wants_exactly_one_positive_number(settings: dict[str, float]) -> None:
    with pytest.raises(UserError, match="frames"):
        Sampling.from_settings(settings)


def test_sampling_reads_its_section() -> None:
    section = {"per_clip": None, "fps": 10, "jpeg_quality": 95}
    assert Sampling.from_settings(section) == Sampling(fps=10)


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=60),
    st.sampled_from([0.5, 1, 2, 7, 10, 15, 25, 29.97, 30, 60, 100, 1000]),
    st.sampled_from([0.0, 0.1, 17.3, 1e6]),
)
def test_rate_asks_each_tick_one_by_one(stamps: list[int], fps: float, start: float) -> None:
    """However many ticks there are, the frames are those that ticks in a list would give."""
    times = start + np.sort(stamps) / 1000
    end = times[-1] + 1 / 30
    ticks = times[0] + np.arange(max(int(np.ceil((end - times[0] - TIMER) * fps)), 1)) / fps
    asked = np.unique(np.searchsorted(times, ticks + TIMER, side="right") - 1)
    assert shown_at_rate(times, end, fps).tolist() == asked.tolist()


def test_a_clock_set_to_the_epoch_takes_no_memory() -> None:
    times = np.array([0, 0.1, 1.7e9, 1.7e9 + 0.1])
    assert shown_at_rate(times, times[-1] + 0.1, 10).tolist() == [0, 1, 2, 3]
    assert shown_at_rate(times, times[-1] + 0.1, 1e300).tolist() == [0, 1, 2, 3]
