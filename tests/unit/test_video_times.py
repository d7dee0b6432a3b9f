"""When frames are shown, by clocks that can be right and by those that can't."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectflow.video.sampling import shown_at_rate
from affectflow.video.times import frame_times

THIRTY = [i / 30 for i in range(300)]

CLOCKS = {
    "equal": [5.0] * 300,
    "none": [None] * 300,
    "decreasing": THIRTY[::-1],
    "starts below zero": [time - 7 for time in THIRTY],
    "one leaps to the epoch": [*THIRTY[:100], 1.7e9, *THIRTY[101:]],
    "one leaps by half an hour": [*THIRTY[:100], 1800.0, *THIRTY[101:]],
    "set to the epoch on the way": [time + 1.7e9 * (i > 99) for i, time in enumerate(THIRTY)],
    "set back to zero": [*THIRTY[:150], *THIRTY[:150]],
    "set back by half a second": [time - 0.5 * (i > 149) for i, time in enumerate(THIRTY)],
    "begins without": [None] * 5 + THIRTY[5:],
    "wraps": [95443.7 - 4 + time - 95443.7 * (i > 119) for i, time in enumerate(THIRTY)],
    "starts at the epoch": [1.7e9, *THIRTY[1:]],
    "neighbours mixed up": [THIRTY[i ^ 1] for i in range(300)],
    "in pairs": [THIRTY[i - i % 2] for i in range(300)],
    "nanoseconds": [i * 1e-9 for i in range(300)],
    "some missing": [None if i % 3 else time for i, time in enumerate(THIRTY)],
}
SOUND = {"starts below zero", "begins without", "neighbours mixed up", "some missing"}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_clock_that_cannot_be_right_loses_no_frame(clock: str) -> None:
    times = frame_times(CLOCKS[clock], 1 / 30, 1 / 30)
    assert len(times.time) == 300
    assert times.time[0] == 0 and (np.diff(times.time) >= 0).all()
    assert times.end == pytest.approx(10, abs=0.1)
    assert len(shown_at_rate(times.time, times.end, 10)) == pytest.approx(100, abs=2)
    assert len(shown_at_rate(times.time, times.end, 30)) == pytest.approx(300, abs=4)
    assert bool(times.fault) == (clock not in SOUND)


def test_a_gap_is_told_and_kept() -> None:
    times = frame_times([*THIRTY[:100], *(time + 60 for time in THIRTY[100:])], 1 / 30, 1 / 30)
    assert times.end == pytest.approx(70)
    assert times.fault == "no frame for 60.0 s after 3.3 s"
    assert len(shown_at_rate(times.time, times.end, 30)) == 300
    a_frame_a_minute = frame_times([60.0 * i for i in range(20)], 60.0, 60.0)
    assert (a_frame_a_minute.end, a_frame_a_minute.fault) == (1200, "")


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e12, 1e12)), min_size=1, max_size=50),
    st.one_of(st.none(), st.floats(-1e12, 1e12)),
    st.floats(1e-3, 3600),
    st.floats(1e-3, 1e6),
)
def test_any_clock_gives_times_in_order(
    stamps: list[float | None], last: float | None, step: float, fps: float
) -> None:
    times = frame_times(stamps, last, step)
    assert times.time[0] == 0 and (np.diff(times.time) >= 0).all()
    assert times.time[-1] <= times.end < np.inf
    chosen = shown_at_rate(times.time, times.end, fps)
    assert 1 <= len(chosen) <= len(stamps) and (np.diff(chosen) > 0).all()


def test_sound_times_are_kept_to_the_bit() -> None:
    stamps = (17.25 + np.arange(300) / 30).tolist()
    times = frame_times(stamps, 1 / 30, 1 / 30)
    assert (times.time == np.array(stamps) - 17.25).all()
    assert times.end == times.time[-1] + 1 / 30
