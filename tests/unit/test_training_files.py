"""Saved models and predictions, and the device."""

from __future__ import annotations

import json
from importlib.metadata import version

import numpy as np
import pandas
import pytest
import torch
from safetensors.torch import load_file, save_file
from training_job import job
from training_sequences import TASKS, arrays, predictions, sequences, train

from affectflow.dataset.tasks import write_tasks
from affectflow.errors import UserError
from affectflow.shards.embeddings import CONTENT
from affectflow.shards.files import TEXT, create
from affectflow.temporal.decide import Decision
from affectflow.training import run
from affectflow.training.model_files import load_model, read_description, save_model
from affectflow.training.pooled import predict_pooled
from affectflow.training.pooled_files import load_pooled
from affectflow.training.predict import DECIMALS, predict, write_predictions

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    return train(tmp_path_factory.mktemp("run"), epochs=2, normalise="clip")


@pytest.fixture
def saved(tmp_path, fitted):
    files = tmp_path / "model.safetensors", tmp_path / "model.json"
    save_model(fitted.model, *files, [Decision("mode")] * 2, {"seed": 3})
    return files


def test_saved_model_predicts_the_same(fitted, saved):
    data = sequences()
    pandas.testing.assert_frame_equal(
        predictions(load_model(*saved, CPU), data),
        predictions(fitted.model, data),
        check_exact=True,
    )


def test_description_says_all(saved):
    content = json.loads(saved[1].read_text())
    assert content["head"] == "lstm"
    assert content["settings"] == {"lstm_units": [12, 8], "dropout": 0.3, "fc_units": [8, 8]}
    assert (content["dim"], content["normalise"]) == (6, "clip")
    assert [task["name"] for task in content["tasks"]] == ["engagement", "camera"]
    assert content["loss"] == "cross_entropy"
    assert content["decisions"] == [{"rule": "mode", "cuts": []}] * 2
    assert content["trained"] == {"seed": 3}


@pytest.mark.parametrize("head", ["lstm", "pooled_ridge"])
def test_saved_model_and_decisions_give_the_predicted_levels(head, tmp_path):
    """All that is needed for new clips is in the two files of a model."""
    embedding, mask, clip_id, table = arrays()
    with create(tmp_path / "joined.h5", CONTENT, {"shards": {}}) as file:
        file.create_dataset("embedding", data=embedding)
        file.create_dataset("mask", data=mask)
        file.create_dataset("frames", data=[mask.shape[1]] * len(mask))
        file.create_dataset("clip_id", data=clip_id, dtype=TEXT)
    table.assign(path="", status="ok", shard=0).to_csv(tmp_path / "clips.csv", index=False)
    write_tasks(tmp_path / "tasks.json", TASKS)
    quick = {"epochs": 3, "lstm_units": [8, 8], "fc_units": [8, 8]} if head == "lstm" else {}
    asked = job(tmp_path, {"head": head, "decide": "calibrated", **quick}, tmp_path)
    run.train(tmp_path / "joined.h5", asked)
    said = read_description(asked.description)
    assert [decision.rule for decision in said.decisions] == ["calibrated", "mode"]
    assert list(said.tasks) == TASKS
    assert said.own["trained"]["libraries"]["scikit-learn"] == version("scikit-learn")
    written = pandas.read_csv(asked.predictions)
    if head == "lstm":
        found = predict(load_model(asked.model, asked.description, CPU), sequences())
    else:
        found = predict_pooled(load_pooled(asked.model, asked.description), sequences(), DECIMALS)
    for task, decision, p in zip(said.tasks, said.decisions, found, strict=True):
        own = written[written["task"] == task.name]
        assert np.array_equal(decision(p), own["predicted"])
        assert own["predicted"].nunique() > 1
    calibrated = written[written["task"] == "engagement"]
    assert (found[0].argmax(axis=1) != calibrated["predicted"]).any(), "thresholds do something"


def test_no_file_is_a_pickle(saved):
    assert saved[0].read_bytes()[8:9] == b"{"
    assert "head.lstm.weight_ih_l0" in load_file(saved[0])


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_wrong_files_are_the_users_error(saved, tmp_path):
    weights, description = saved
    with pytest.raises(UserError, match="no such file"):
        load_model(tmp_path / "none.safetensors", description, CPU)
    with pytest.raises(UserError, match="no such file"):
        load_model(weights, tmp_path / "none.json", CPU)

    edit(description, dim=7)
    with pytest.raises(UserError, match=r"has shape \(48, 6\), and model.json wants \(48, 7\)"):
        load_model(weights, description, CPU)
    edit(description, dim=6, head="lstmm")
    with pytest.raises(UserError, match="unknown head"):
        load_model(weights, description, CPU)
    edit(description, head="lstm", settings={"layers": 3})
    with pytest.raises(UserError, match="is no sequence model's"):
        load_model(weights, description, CPU)
    edit(description, decisions=[{"rule": "guess", "cuts": []}])
    with pytest.raises(UserError, match="unknown decision rule guess"):
        load_model(weights, description, CPU)
    edit(description, schema_version=99)
    with pytest.raises(UserError, match="schema 99"):
        load_model(weights, description, CPU)
    description.write_text("{")
    with pytest.raises(UserError, match="not a model's description"):
        load_model(weights, description, CPU)


def test_truncated_or_swapped_weights_are_refused(saved):
    weights, description = saved
    content = weights.read_bytes()
    weights.write_bytes(content[:-100])
    with pytest.raises(UserError, match="damaged or not safetensors"):
        load_model(weights, description, CPU)
    weights.write_bytes(content)
    tensors = load_file(weights)
    tensors["head.fc1.bias"] += 1
    save_file(tensors, weights)
    with pytest.raises(UserError, match="is not the file that"):
        load_model(weights, description, CPU)
    del tensors["head.fc1.bias"]
    save_file(tensors, weights)
    with pytest.raises(UserError, match=r"head.fc1.bias has shape none"):
        load_model(weights, description, CPU)


def test_predictions_keep_the_contract(fitted, tmp_path):
    data = sequences()
    write_predictions(predictions(fitted.model, data), tmp_path / "predictions.csv")
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert lines[0] == "clip_id,subject,split,task,label,predicted,p_0,p_1,p_2"
    table = pandas.read_csv(tmp_path / "predictions.csv", dtype={"clip_id": str, "subject": str})
    assert len(table) == len(data) * len(TASKS)
    order = table["split"].map({"train": 0, "validation": 1, "test": 2})
    keys = list(zip(order, table["clip_id"], -(table["task"] == "engagement"), strict=True))
    assert keys == sorted(keys)
    engagement = table[table["task"] == "engagement"]
    assert engagement["label"].isna().sum() == 3
    camera = table[table["task"] == "camera"]
    assert camera["p_2"].isna().all()
    p = engagement[["p_0", "p_1", "p_2"]].to_numpy()
    np.testing.assert_allclose(p.sum(1), 1, atol=2e-6)
    np.testing.assert_array_equal(p.argmax(1), engagement["predicted"])
    first = lines[1].split(",")
    assert first[4] in {"", "0", "1", "2"}
    assert all(len(text.split(".")[1]) == 6 for text in first[6:])


def test_predictions_do_not_depend_on_the_batch(fitted):
    data = sequences()
    one, all_ = predictions(fitted.model, data, batch=1), predictions(fitted.model, data, batch=500)
    columns = ["p_0", "p_1", "p_2"]
    np.testing.assert_allclose(one[columns], all_[columns], atol=2e-6)
