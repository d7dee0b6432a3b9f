"""Two processes make the steps of one."""

from __future__ import annotations

import logging
import multiprocessing
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from teacher_faces import DATA, settings, train
from teacher_processes import CASES, gradients, work
from torch import nn

from affectflow.errors import UserError
from affectflow.teacher.distributed import CrossBatchNorm, Group, cross_batch_norm, joined
from affectflow.teacher.training import train_teacher

pytestmark = pytest.mark.slow

WORLD = 2


@pytest.fixture(autouse=True)
def one_thread():
    """Compute as each of the processes does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[Path, list[dict]]:
    """What each of two processes found."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["teacher_processes"])  # its imports take longer than its work
    runs = [context.Process(target=work, args=(r, WORLD, port, folder)) for r in range(WORLD)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(240)
        if run.is_alive():
            run.kill()
    assert [run.exitcode for run in runs] == [0] * WORLD
    return folder, [torch.load(folder / f"{r}.pt", weights_only=True) for r in range(WORLD)]


def difference(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Return the largest relative difference of a tensor, zeros taken as zeros."""
    whole = max(float(tensor.norm()) for tensor in expected.values())
    assert found.keys() == expected.keys()
    return max(
        float((found[name] - tensor).norm()) / max(float(tensor.norm()), 1e-3 * whole)
        for name, tensor in expected.items()
    )


def apart(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Return how far the gradient is, as one vector, from the expected one, relative to that."""
    names = [name for name in expected if name.startswith("gradient")]
    own, other = (torch.cat([each[n].ravel() for n in names]) for each in (found, expected))
    return float((own - other).norm() / other.norm())


@pytest.mark.parametrize("case", [case for case in CASES if case != "not_synchronised"])
def test_gradients_of_two_processes_are_those_of_one(both, case):
    expected = gradients(Group(), **CASES[case])
    assert all(torch.isfinite(tensor).all() for tensor in expected.values())
    # Rounding alone, tensor by tensor: small ones are sums of large terms that cancel.
    allowed = 1e-4 if case == "single_precision" else 1e-9
    for found in both[1]:
        assert difference(found["gradients"][case], expected) < allowed
        assert apart(found["gradients"][case], expected) < 1e-5


def test_batch_norm_by_process_would_give_others(both):
    expected = gradients(Group(), **CASES["uneven"])
    assert difference(both[1][0]["gradients"]["not_synchronised"], expected) > 1e-2


def test_training_of_two_processes_is_that_of_one(both, tmp_path):
    alone = train(tmp_path, batch_size=7, epochs=2)
    first, second = both[1]
    assert first["history"] == second["history"]
    for name, values in alone.history.to_dict("list").items():
        if name != "processes":
            np.testing.assert_allclose(first["history"][name], values, rtol=1e-3, err_msg=name)
    assert first["history"]["processes"] == [2, 2]
    for name, tensor in alone.weights.items():
        assert torch.equal(first["weights"][name], second["weights"][name])
        torch.testing.assert_close(first["weights"][name], tensor, rtol=1e-3, atol=1e-4)


def test_one_process_goes_on_where_two_stopped(both, caplog):
    with caplog.at_level(logging.INFO):
        found = train(both[0], batch_size=7, epochs=2)
    assert "resumed after epoch 2" in caplog.text
    assert found.history.processes.tolist() == [2, 2]


def test_processes_decide_by_the_firsts_numbers(both):
    assert [found["same"] for found in both[1]] == [{"rank": 0.0}] * 2
    assert [found["agreed"] for found in both[1]] == [[True, False]] * 2


def test_cross_batch_norm_has_the_weights_and_names_of_the_one_before():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4, eps=1e-3)))
    names, weight = list(model.state_dict()), model[1][0].weight
    found = cross_batch_norm(model)
    assert isinstance(found[1][0], CrossBatchNorm)
    assert list(found.state_dict()) == names
    assert found[1][0].weight is weight and found[1][0].eps == 1e-3


def test_one_process_needs_no_environment(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with joined(torch.device("cpu")) as group:
        assert (group.rank, group.world, group.first) == (0, 1, True)
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, and RANK, MASTER_ADDR, MASTER_PORT is not set"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
        (
            {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"},
            "RANK is 2 of a WORLD_SIZE of 2",
        ),
    ],
)
def test_an_environment_that_is_wrong_is_told(monkeypatch, variables, words):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=words) as error, joined(torch.device("cpu")):
        pass
    assert error.value.remedy


def test_a_batch_smaller_than_the_processes_is_told(tmp_path):
    with pytest.raises(UserError, match="can't be shared by 8 processes"):
        path = tmp_path / "checkpoint.pt"
        train_teacher(DATA, settings(), path, read=lambda *_: None, group=Group(0, 8))
