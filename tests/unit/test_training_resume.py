"""A killed run ends in the same bytes as one that was left alone."""

from __future__ import annotations

import logging
import multiprocessing
import random
import signal
import time
from pathlib import Path

import pytest
import training_sequences
from training_sequences import sequences, train, train_and_write

from affectflow.training.fit import log as fit_log


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    return train_and_write(tmp_path_factory.mktemp("undisturbed"))


class InterruptAfter(logging.Handler):
    """Stop the run when it reports an epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.start = f"epoch {epoch}/"

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith(self.start):
            raise KeyboardInterrupt


def interrupt(folder: Path, epoch: int, **keys: object) -> None:
    handler, level = InterruptAfter(epoch), fit_log.level
    fit_log.addHandler(handler)
    fit_log.setLevel(logging.INFO)
    try:
        with pytest.raises(KeyboardInterrupt):
            train(folder, **keys)
    finally:
        fit_log.removeHandler(handler)
        fit_log.setLevel(level)


@pytest.mark.parametrize("epoch", [1, 4, 7, 8])
def test_interrupted_run_resumes_to_the_same_bytes(tmp_path, undisturbed, epoch, caplog):
    interrupt(tmp_path, epoch)
    with caplog.at_level(logging.INFO):
        assert train_and_write(tmp_path) == undisturbed
    assert f"resumed after epoch {epoch}" in caplog.text


def test_runs_killed_at_random_moments_resume_to_the_same_bytes(tmp_path, undisturbed, caplog):
    context = multiprocessing.get_context("forkserver")
    # torch's optimisers import torch._dynamo when first made: seconds that every child would pay.
    context.set_forkserver_preload(["training_sequences", "torch._dynamo"])
    checkpoint = tmp_path / "checkpoint.pt"
    for delay in (0.0, random.uniform(0, 0.1), random.uniform(0, 0.3)):
        seen = identity(checkpoint)
        run = context.Process(target=train_and_write, args=(tmp_path,))
        run.start()
        while run.is_alive() and identity(checkpoint) == seen:
            time.sleep(0.002)
        time.sleep(delay)
        run.kill()
        run.join()
        assert delay or run.exitcode == -signal.SIGKILL
    with caplog.at_level(logging.INFO):
        assert train_and_write(tmp_path) == undisturbed
    assert "resumed after epoch" in caplog.text


def identity(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def test_early_stop_is_resumed_exactly(tmp_path):
    keys = {"epochs": 60, "patience": 2, "learning_rate": 0.05, "select_by": "loss"}
    (tmp_path / "other").mkdir()
    whole = train(tmp_path / "other", **keys)
    interrupt(tmp_path, whole.best_epoch + 1, **keys)
    resumed = train(tmp_path, **keys)
    assert resumed.history.equals(whole.history)
    assert resumed.best_epoch == whole.best_epoch


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[: len(b) // 2],
        lambda b: b"",
        lambda b: b[:-500] + bytes([b[-500] ^ 1]) + b[-499:],
        lambda b: b"not a checkpoint at all",
    ],
)
def test_damaged_checkpoint_is_refused_and_training_starts_over(
    tmp_path, undisturbed, damage, caplog
):
    interrupt(tmp_path, 2)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(damage(path.read_bytes()))
    with caplog.at_level(logging.INFO):
        assert train_and_write(tmp_path) == undisturbed
    assert "is damaged: training starts over" in caplog.text


@pytest.mark.parametrize("change", ["settings", "data", "code"])
def test_checkpoint_of_another_run_is_not_resumed(tmp_path, change, caplog):
    interrupt(tmp_path, 2)
    with caplog.at_level(logging.INFO):
        if change == "settings":
            train(tmp_path, epochs=3, dropout=0.2)
        elif change == "data":
            train(tmp_path, sequences(seed=1), epochs=3)
        else:
            training_sequences.train(tmp_path, code_digest="other")
    assert "is of other settings, data or code: training starts over" in caplog.text
    assert "resumed" not in caplog.text
