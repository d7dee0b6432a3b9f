"""Tuning a backbone: what it learns, what it leaves alone, and that it starts where others do."""

from __future__ import annotations

import io
import json
import logging
import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import crop_sequences
import h5py
import numpy as np
import pandas
import pytest
import torch
from crop_sequences import CPU, OUTPUTS, QUICK, TASKS, TINY, registered, tune, write_study
from safetensors.torch import load_file
from torch import Tensor, nn
from training_job import job

from affectflow import registry
from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import Embedder, open_embedder, stack
from affectflow.backbones.weights import backbone
from affectflow.dataset.clips import read_clips
from affectflow.errors import DamagedFileError, UserError
from affectflow.shards.faces import CONTENT
from affectflow.shards.files import create, open_complete, texts
from affectflow.training import augment, crops, tuned_model
from affectflow.training.crops import Untuned, open_crops
from affectflow.training.data import assemble
from affectflow.training.experiment import read_experiment
from affectflow.training.fine_tune import fine_tune
from affectflow.training.fit import fit
from affectflow.training.fit import log as fit_log
from affectflow.training.model_files import load_model
from affectflow.training.predict import predict
from affectflow.training.tuned_model import CHUNK, TunedModel, tuned_names
from affectflow.training.tuner import CropFeed, Tuner

pytestmark = pytest.mark.slow

Study = dict[str, Any]
NEVER = 1e-12
"""A learning rate at which nothing moves."""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def tuned(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    tune(study, folder)
    return folder


def history(outputs: dict[str, bytes]) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(outputs["history.csv"]))


def predictions(outputs: dict[str, bytes]) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(outputs["predictions.csv"]))


@contextmanager
def opened(
    study: Study, seals: list[str] | None = None
) -> Iterator[tuple[Untuned, pandas.DataFrame]]:
    """Open a study's crops under its untuned backbone, and its clip table."""
    network = TINY.build().eval()
    network.load_state_dict(load_file(study["weights"]))
    with open_crops(study["faces"]) as (shards, found):
        source = Untuned(shards, TINY, network, CPU, seals or found)
        yield source, read_clips(study["tables"] / "clips.csv", TASKS)


def mask_and_names(source: Untuned) -> tuple[np.ndarray, list[str]]:
    return source.crops.mask, source.crops.clip_id


def tiny(fine_tune: str = "all") -> TunedModel:
    experiment = read_experiment({**QUICK, "fine_tune": fine_tune})
    with registered():
        torch.manual_seed(0)
        model = Tuner(TINY.build().eval(), "tiny").model(experiment, TINY.dim, TASKS)
    assert isinstance(model, TunedModel)
    return model


@pytest.mark.parametrize("fine_tune", ["last", "all"])
def test_learns_what_the_untuned_embeddings_do_not_tell(
    study: Study, tmp_path: Path, fine_tune: str
) -> None:
    learn = {"fine_tune": fine_tune, "epochs": 25, "batch_size": 6}
    known = history(tune(study, tmp_path / "tuned", **learn))
    assert known["validation_loss"].min() < 0.5
    assert known["validation_kappa_colour"].max() == 1
    blind = history(tune(study, tmp_path / "not", **learn, backbone_learning_rate=NEVER))
    assert blind["validation_kappa_light"].max() == 1
    assert blind["validation_loss"].min() > 0.6


@pytest.mark.parametrize("fine_tune", ["last", "all"])
def test_trains_what_it_says_and_no_running_statistics(
    study: Study, tmp_path: Path, fine_tune: str
) -> None:
    tune(study, tmp_path, fine_tune=fine_tune)
    before, after = load_file(study["weights"]), load_file(tmp_path / "model.safetensors")
    changed = {n for n, old in before.items() if not torch.equal(old, after[f"backbone.{n}"])}
    parameters = {name for name, _ in TINY.build().named_parameters()}
    assert changed == {n for n in parameters if fine_tune == "all" or n.startswith("last.")}
    assert before.keys() - parameters, "BatchNorm has buffers"


def test_the_whole_backbone_stays_in_evaluation_mode() -> None:
    model = tiny().train()
    assert model.head.training
    assert not any(module.training for module in model.backbone.modules())
    assert model.eval().train().training


@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_nothing_is_kept_of_frozen_blocks(name: str) -> None:
    """Of every backbone: autograd keeps activations behind the last block's input alone."""
    spec, network = backbone(name), backbone(name).build().eval()
    kept = {}
    for what in ("last", "all"):
        names = tuned_names(name, spec, network, what)
        model = TunedModel(network, name, what, *head())
        trained = {n for n, p in model.backbone.named_parameters() if p.requires_grad}
        assert trained == names
        seen: list[int] = []
        pixels = torch.zeros(1, spec.size, spec.size, 3, dtype=torch.uint8)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, seen=seen: seen.append(t.numel()) or t, lambda t: t
        ):
            embedding = model.embed(pixels, torch.ones(1, 1, dtype=torch.bool))
        embedding.sum().backward()
        kept[what] = sum(seen)
        for own, parameter in model.backbone.named_parameters():
            assert (parameter.grad is not None) == (own in names), own
    assert kept["last"] < 0.5 * kept["all"]
    assert all(any(n.startswith(p) for n, _ in network.named_parameters()) for p in spec.last)


def head() -> tuple[Any, ...]:
    experiment = read_experiment({"head": "attention"})
    return experiment.head, experiment.settings, TASKS


def test_a_backbone_without_a_last_block_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="does not say what its last block is") as error:
        tuned_names(
            "b", crop_sequences.Backbone(6, 16, nn.Identity, abs, None), TINY.build(), "last"
        )
    assert "fine_tune: all" in error.value.remedy


@pytest.mark.parametrize("fine_tune", ["last", "all"])
def test_an_untuned_backbone_trains_the_head_that_embeddings_train(
    study: Study, tmp_path: Path, fine_tune: str
) -> None:
    """The same with every choice that looks at embeddings or changes them."""
    keys = {**QUICK, "fine_tune": fine_tune, "backbone_learning_rate": NEVER, "frames": 3}
    keys |= {"time_mask": 0.4, "jitter": 0.1, "mixup": 0.3, "normalise": "clip"}
    keys |= {"feature_alpha": 0.2, "key_frames": 0.9999}
    experiment = read_experiment(keys)
    how = {"device": CPU, "seed": 3}
    with opened(study) as (source, clips):
        data = assemble(source, *mask_and_names(source), clips, TASKS, 3, 0.9999)
        every = assemble(source, *mask_and_names(source), clips, TASKS, 3)
        assert 0 < data.mask.sum() < every.mask.sum(), "some are key frames"
        with registered():
            learner = Tuner(TINY.build(), "tiny")
            learner.network.load_state_dict(load_file(study["weights"]))
            tuned = fit(data, TASKS, experiment, tmp_path / "1.pt", **how, learner=learner)
        found = predict(tuned.model, data, feed=CropFeed(data, CPU))
        rows, frames = np.arange(len(data)), np.tile(np.arange(3), (len(data), 1))
        given = replace(data, embedding=data.read(rows), rows=rows, frames=frames)
        plain = fit(given, TASKS, experiment, tmp_path / "2.pt", **how)
        wanted = predict(plain.model, given)
    assert 0 < plain.model.standardise.keep.sum() < TINY.dim, "some features are kept"
    for name, tensor in plain.model.standardise.state_dict().items():
        torch.testing.assert_close(tuned.model.standardise.state_dict()[name], tensor)
    columns = list(plain.history)
    np.testing.assert_allclose(tuned.history[columns], plain.history, atol=1e-3)
    for one, two in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)
        assert two.std() > 0.01, "they are not all the same"


@pytest.mark.parametrize("name", registry.names("backbones.models"))
def test_embeddings_in_the_graph_are_those_of_embedding(name: str) -> None:
    rng = np.random.default_rng(2)
    images = [rng.integers(0, 256, (224, 224, 3)).astype(np.uint8) for _ in range(2)]
    spec, network = backbone(name), backbone(name).build().eval()
    wanted = Embedder(spec, network, CPU).embed(images)
    mask = torch.tensor([[False, True], [True, False]])
    pixels = torch.from_numpy(stack(images, spec.size))
    found = TunedModel(network, name, "last", *head()).embed(pixels, mask)
    assert found.requires_grad
    np.testing.assert_allclose(found[mask].detach(), wanted, atol=1e-5, rtol=1e-5)
    assert not found[~mask].any()


def test_untuned_embeddings_are_those_of_the_shards(study: Study, tmp_path: Path) -> None:
    with registered():
        embedder = open_embedder("tiny", study["weights"], CPU, "fp32")
        embed_shards(study["faces"], embedder, tmp_path / "e.h5")
    with (
        open_complete(tmp_path / "e.h5", "embeddings") as file,
        opened(study) as (source, clips),
    ):
        assert source.crops.clip_id == texts(file["clip_id"])
        np.testing.assert_array_equal(source.crops.mask, file["mask"][:])
        np.testing.assert_array_equal(source.crops.counts, file["frames"][:])
        rows = np.arange(crop_sequences.CLIPS)
        frames = np.tile(np.arange(crop_sequences.FRAMES), (len(rows), 1))
        found = source.embed(rows, frames, source.crops.mask)
        np.testing.assert_array_equal(found.astype(np.float16), file["embedding"][:])
        assert len(clips) == len(rows)


def test_only_faces_that_are_there_go_through_the_backbone(study: Study) -> None:
    """In the order of clips and frames, whatever order the clips are asked for in."""
    seen: list[int] = []
    with opened(study) as (source, clips):
        data = assemble(source, *mask_and_names(source), clips, TASKS)
        with registered():
            model = TunedModel(source.network, "tiny", "all", *head())
        model.backbone.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
        some = torch.tensor([7, 0, 3])
        pixels, mask, _ = CropFeed(data, CPU)(some)
        assert len(pixels) == mask.sum() < mask.numel()
        found = model.embed(pixels, mask).detach()
        assert sum(seen) == int(mask.sum())
        np.testing.assert_allclose(found, data.read(some.numpy()), atol=1e-6)


def test_masked_frames_decide_nothing(study: Study, tmp_path: Path) -> None:
    """Neither what lies in them, nor that nothing does."""
    garbage = write_study(tmp_path / "garbage", b"this is no image")
    got, wanted = tune(garbage, tmp_path / "one"), tune(study, tmp_path / "two")
    assert got == wanted


def test_chunks_run_again_give_the_same_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(1)
    size = (CHUNK + 5, TINY.size, TINY.size, 3)
    pixels = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
    mask = torch.ones(1, len(pixels), dtype=torch.bool)

    def gradients() -> dict[str, Tensor]:
        model, runs = tiny(), []
        model.backbone.register_forward_pre_hook(lambda _, given: runs.append(len(given[0])))
        model.embed(pixels, mask).square().sum().backward()
        counts.append(runs)
        return {n: p.grad for n, p in model.backbone.named_parameters() if p.grad is not None}

    counts: list[list[int]] = []
    chunked = gradients()
    monkeypatch.setattr(tuned_model, "CHUNK", len(pixels))
    whole = gradients()
    assert len(counts[0]) == 4 and counts[1] == [len(pixels)]
    assert chunked.keys() == whole.keys() != set()
    for name, gradient in whole.items():
        torch.testing.assert_close(chunked[name], gradient, rtol=1e-4, atol=1e-5)


def test_saved_model_predicts_the_same(study: Study, tuned: Path) -> None:
    with registered():
        model = load_model(tuned / "model.safetensors", tuned / "model.json", CPU)
    assert isinstance(model, TunedModel) and not model.training
    with opened(study) as (source, clips):
        data = assemble(source, *mask_and_names(source), clips, TASKS)
        found = predict(model, data, feed=CropFeed(data, CPU))
    table = pandas.read_csv(tuned / "predictions.csv")
    for place, task in enumerate(TASKS):
        own = table[table["task"] == task.name][["p_0", "p_1"]].to_numpy()
        np.testing.assert_array_equal(found[place], own)
    content = json.loads((tuned / "model.json").read_text())
    assert (content["backbone"], content["fine_tune"], content["dim"]) == ("tiny", "all", 6)
    assert content["trained"]["experiment"]["backbone_learning_rate"] == 0.001


class Stop(logging.Handler):
    """Stop the run when it reports its first epoch."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("epoch 1/"):
            raise KeyboardInterrupt


def interrupt(study: Study, folder: Path) -> None:
    handler, level = Stop(), fit_log.level
    fit_log.addHandler(handler)
    fit_log.setLevel(logging.INFO)
    try:
        with pytest.raises(KeyboardInterrupt):
            tune(study, folder)
    finally:
        fit_log.removeHandler(handler)
        fit_log.setLevel(level)
    assert (folder / "checkpoint.pt").is_file()


def test_interrupted_run_resumes_to_the_same_bytes(
    study: Study, tuned: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt(study, tmp_path)
    with caplog.at_level(logging.INFO):
        found = tune(study, tmp_path)
    assert "resumed after epoch 1" in caplog.text
    assert found == {name: (tuned / name).read_bytes() for name in OUTPUTS}
    assert not (tmp_path / "checkpoint.pt").exists()


def test_killed_run_resumes_to_the_same_bytes(
    study: Study, tuned: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["crop_sequences", "torch._dynamo"])
    run = context.Process(target=tune, args=(study, tmp_path))
    run.start()
    while run.is_alive() and not (tmp_path / "checkpoint.pt").exists():
        time.sleep(0.002)
    run.kill()
    run.join()
    assert run.exitcode == -signal.SIGKILL
    with caplog.at_level(logging.INFO):
        found = tune(study, tmp_path)
    assert "resumed after epoch" in caplog.text
    assert found == {name: (tuned / name).read_bytes() for name in OUTPUTS}


@pytest.mark.parametrize("change", ["crops", "weights"])
def test_checkpoint_of_other_crops_or_weights_is_not_resumed(
    study: Study, tmp_path: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    interrupt(study, tmp_path / "run")
    other = write_study(tmp_path / "other", seed=int(change == "crops"))
    if change == "weights":
        with registered():
            crop_sequences.prepare("tiny", {"weights": "random"}, 2, other["weights"])
    with caplog.at_level(logging.INFO):
        tune(other, tmp_path / "run")
    assert "is of other settings, data or code: training starts over" in caplog.text
    assert "resumed" not in caplog.text


def test_other_crops_under_the_same_masks_are_other_data(study: Study, tmp_path: Path) -> None:
    """The seals decide: nothing else of the data need differ."""
    digests = []
    for seals in (["a", "b"], ["a", "c"]):
        with opened(study, seals) as (source, clips):
            digests.append(assemble(source, *mask_and_names(source), clips, TASKS).digest())
    assert digests[0] != digests[1]


def test_damaged_or_missing_shard_is_the_users_error(study: Study, tmp_path: Path) -> None:
    own = write_study(tmp_path / "study")
    path = own["faces"][1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"shard-001\.h5: is damaged"):
        tune(own, tmp_path / "run")
    path.unlink()
    with pytest.raises(UserError, match="no such file"):
        tune(own, tmp_path / "run")
    assert not list((tmp_path / "run").iterdir())


def test_clip_without_a_row_or_a_crop_is_the_users_error(study: Study, tmp_path: Path) -> None:
    few = {**study, "faces": study["faces"][:1]}
    with pytest.raises(UserError, match=r"clip c01 is in none of the shards .*\(24 such clips\)"):
        tune(few, tmp_path)
    own = write_study(tmp_path / "study")
    with h5py.File(own["faces"][0]) as source:
        masks = source["mask"][:]
        with create(tmp_path / "new.h5", CONTENT, {}) as file:
            for name in source:
                source.copy(name, file)
            frame = int(np.flatnonzero(masks[4])[-1])
            file["crop"][4, frame] = np.zeros(0, np.uint8)
    (tmp_path / "new.h5").rename(own["faces"][0])
    message = rf"shard-000\.h5: has a face of clip c08 in frame {frame}, and no crop of it"
    with pytest.raises(DamagedFileError, match=message):
        tune(own, tmp_path / "run")


def test_crops_are_read_when_they_are_asked_for(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = crops.Crops.read
    monkeypatch.setattr(
        crops.Crops, "read", lambda *place: read.append(place[1:]) or original(*place)
    )
    with opened(study) as (source, clips):
        data = assemble(source, *mask_and_names(source), clips, TASKS, frames=2)
        data.digest()
        feed = CropFeed(data, CPU)
        assert not read
        feed(torch.tensor([2]))
        assert {row for row, _ in read} == {data.rows[2]}
        assert {frame for _, frame in read} <= set(data.frames[2].tolist())
        assert len(read) == data.mask[2].sum()


def test_an_experiment_that_tunes_nothing_is_refused(study: Study, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fine_tune is not set"), registered():
        fine_tune(study["faces"], "tiny", study["weights"], job(tmp_path, {}, study["tables"]))


def test_the_control_and_the_rest_of_the_choices_go_with_it(study: Study, tmp_path: Path) -> None:
    found = tune(
        study, tmp_path, fine_tune="last", labels="permuted", train_clips=12, loss="coral",
        level_weights="balanced", sampling="balanced", select_by="kappa", patience=1,
        decide="calibrated", normalise="none", frames=2, epochs=2,
    )  # fmt: skip
    table = predictions(found)
    assert set(table["split"]) == {"train", "validation", "test"}
    np.testing.assert_allclose(table["p_0"] + table["p_1"], 1, atol=2e-6)


def test_augmentation_acts_on_embeddings(study: Study, tmp_path: Path, monkeypatch: Any) -> None:
    widths = []
    original = augment.jitter
    monkeypatch.setattr(
        augment, "jitter", lambda x, *rest: widths.append(x.shape[2]) or original(x, *rest)
    )
    tune(study, tmp_path, jitter=0.1, epochs=1)
    assert set(widths) == {TINY.dim}
