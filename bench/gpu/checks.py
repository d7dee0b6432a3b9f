"""Does the device compute what a CPU does? Each row says what was seen and the bound it is held to.

With ``--device cpu`` the CPU is compared with itself by the same code, and every difference is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from material import CPU, Material, Row, attempt
from torch import Tensor, nn

from affectflow import registry
from affectflow.backbones.embed import LEAST, LEAST_OF_MOST
from affectflow.backbones.embedder import Embedder, open_embedder, stack
from affectflow.backbones.precision import cosines
from affectflow.backbones.weights import backbone, load
from affectflow.dataset.tasks import DAISEE_TASKS
from affectflow.devices import reproducible
from affectflow.faces.between import looks
from affectflow.faces.clip import build_detectors, find_faces
from affectflow.shards.frames import Frames
from affectflow.teacher.batches import Batch
from affectflow.teacher.losses import joint
from affectflow.teacher.network import Teacher
from affectflow.teacher.training import losses
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training.experiment import read_experiment
from affectflow.training.fit import batch_loss
from affectflow.training.tuned_model import TunedModel
from affectflow.video import jpeg, nvjpeg

MOST_THREADS = 8
"""Of the CPU, in training: more wait for one another."""

FEW = 60
"""Frames of each clip where each is looked at."""

SAME_COVERAGE = 0.995
"""Share of frames: a score next to a threshold may fall on either side of it."""

BOX_PX, MOST_PX = 0.05, 1.0
"""How far an edge or landmark may be off in the median frame and in 99 of 100, px. Networks in
float32 sum in another order, which moves a box by thousandths of a pixel; where two candidates
score alike, the other one may stay, and its box is rounded to whole pixels on the way."""

SAME_COSINE = 0.9999
"""Least cosine of embeddings in fp32 to a CPU's: seven digits, less what fifty layers lose. Other
precisions are held to the library's own bounds for them."""

LOSS, GRADIENT = 1e-4, 1e-2
"""How far a loss, relative to itself, and a gradient, relative to the whole of it in length, may
be off in fp32. Sums in another order lose the last two or three of seven digits, and a hundred
steps of an LSTM back, or the statistics of BatchNorm over a few faces, a few more."""

HALF_LOSS, HALF_GRADIENT = 0.02, 0.5
"""The same in bf16, which keeps 8 bits: a gradient of the same direction."""


def faces(material: Material) -> Iterator[Row]:
    """Compare boxes, landmarks, scores and coverage."""
    clips = material.decoded(material.sizes.compared)
    for faces in ({}, {"every": 1}, {"every": 1, "min_size": 20, "fallback_size": None}):
        _, settings = material.settings(**faces)
        told = {name: settings[name] for name in ("every", "min_size")}
        some = clips if not faces else [_first(clip, FEW) for clip in clips]
        yield attempt(told, partial(_compare_faces, some, settings, material.device))


def _first(clip: Frames, frames: int) -> Frames:
    part = slice(frames)
    return replace(
        clip, images=clip.images[part], time=clip.time[part], frame_index=clip.frame_index[part]
    )


def _compare_faces(clips: list[Frames], settings: dict[str, Any], device: torch.device) -> Row:
    here, there = (
        [
            find_faces(clip.images, detectors, looks(settings["every"], clip.time))
            for detectors in [build_detectors(settings, str(own))]
            for clip in clips
        ]
        for own in (device, CPU)
    )
    mask, wanted = (np.concatenate([one.mask for one in own]) for own in (here, there))
    both = mask & wanted

    def apart(name: str) -> np.ndarray:
        one, other = (
            np.concatenate([getattr(each, name) for each in own])[both] for own in (here, there)
        )
        return np.abs(one - other).reshape(int(both.sum()), -1).max(1)

    row: Row = {"frames": len(mask), "coverage": mask.mean(), "coverage_cpu": wanted.mean()}
    row["same_coverage"] = (mask == wanted).mean()
    ok = row["same_coverage"] >= SAME_COVERAGE and both.any()
    for name in ("box", "landmarks"):
        median, most = np.percentile(apart(name), (50, 99)) if both.any() else (np.nan, np.nan)
        row |= {f"{name}_px_median": median, f"{name}_px_99": most}
        ok = ok and median <= BOX_PX and most <= MOST_PX
    bound = f"coverage {SAME_COVERAGE}, px {BOX_PX} in the median, {MOST_PX} in 99 %"
    return row | {"score_most": apart("score").max(initial=0), "ok": bool(ok), "bound": bound}


def embeddings(material: Material) -> Iterator[Row]:
    """Compare each backbone in each precision with a CPU in fp32."""
    count = 4 if material.small else 64
    crops = [jpeg.decode(crop) for crop in material.some_crops(count)]
    for name in material.backbones:
        weights = material.weights(name)
        exact = open_embedder(name, weights, CPU, "fp32").embed(crops)
        for precision in material.precisions:
            embedder = partial(open_embedder, name, weights, material.device, precision)
            told = {"backbone": name, "precision": precision, "crops": len(crops)}
            yield attempt(told, partial(compare_embeddings, embedder, crops, exact, precision))


def compare_embeddings(
    embedder: Callable[[], Embedder], crops: list[np.ndarray], exact: np.ndarray, precision: str
) -> Row:
    """Return how far a device's embeddings of crops are from a CPU's (n, D)."""
    device = embedder()
    found, again = device.embed(crops), device.embed(crops)
    cosine = cosines(found, exact)
    least, median = float(cosine.min()), float(np.median(cosine))
    middle = exact.mean(0)
    row: Row = {
        "cosine_median": median,
        "cosine_5": float(np.percentile(cosine, 5)),
        "cosine_least": least,
        "cosine_centred": float(np.median(cosines(found - middle, exact - middle))),
        "twice_the_same": bool(np.array_equal(found, again)),
    }
    if precision == "fp32":
        ok, bound = least >= SAME_COSINE, f"cosine {SAME_COSINE}"
    else:
        ok = median >= LEAST and row["cosine_5"] >= LEAST_OF_MOST
        bound = f"cosine {LEAST} in the median, {LEAST_OF_MOST} in 95 %"
    return row | {"ok": bool(ok and row["twice_the_same"]), "bound": bound + ", the same twice"}


def steps(material: Material) -> Iterator[Row]:
    """Compare one step of training: the loss, its gradients, and the loss after Adam's step."""
    device = material.device
    # The CPU has most of the work.
    torch.set_num_threads(1 if material.small else min(material.cores, MOST_THREADS))
    heads = registry.names("temporal.heads")
    for head in sorted(heads, key=lambda name: name not in ("lstm", "tcn")):
        yield attempt(
            {"trained": head}, partial(_compare_steps, partial(_head_step, material, head), device)
        )
    for half in (False, True):
        if half and "bf16" not in material.precisions:
            continue
        told = {"trained": "teacher", "precision": "bf16" if half else "fp32"}
        step = partial(_teacher_step, material)
        # Its training says what a GPU does not repeat to the bit, and goes on.
        yield attempt(told, partial(_compare_steps, step, device, half, repeats=False))
    for name in material.backbones:
        for part in ("last", "all"):
            step = partial(_tuned_step, material, name, part)
            told = {"trained": f"{name}, {part}"}
            yield attempt(told, partial(_compare_steps, step, device))
    torch.set_num_threads(1)


Step = tuple[nn.Module, Callable[[nn.Module, bool], Tensor]]
"""A model on a device, and what returns its loss; asked for bf16 or not."""


def _compare_steps(
    make: Callable[[torch.device], Step],
    device: torch.device,
    half: bool = False,
    repeats: bool = True,
) -> Row:
    wanted, found, again = (
        _step(make, own, as_half) for own, as_half in ((CPU, False), (device, half), (device, half))
    )
    loss = abs(found["loss"] / wanted["loss"] - 1)
    after = abs(found["after"] / wanted["after"] - 1)
    gradient = float((found["gradient"] - wanted["gradient"]).norm() / wanted["gradient"].norm())
    same = found["loss"] == again["loss"] and torch.equal(found["gradient"], again["gradient"])
    most, of_gradient = (HALF_LOSS, HALF_GRADIENT) if half else (LOSS, GRADIENT)
    row: Row = {"loss": found["loss"], "loss_cpu": wanted["loss"], "loss_off": loss}
    row |= {"gradient_off": gradient, "loss_after_off": after, "twice_the_same": bool(same)}
    # Adam's first step goes the same way wherever a gradient is hardly more than zero.
    ok = loss <= most and gradient <= of_gradient and after <= 100 * most
    bound = f"loss {most:g}, gradient {of_gradient:g}, loss after a step {100 * most:g}"
    return row | {"ok": bool(ok and (same or not repeats)), "bound": bound}


def _step(make: Callable[[torch.device], Step], device: torch.device, half: bool) -> Row:
    with reproducible(torch.get_num_threads()):
        torch.manual_seed(1)
        model, loss_of = make(device)
        learnt = [each for each in model.parameters() if each.requires_grad]
        optimiser = torch.optim.Adam(learnt, lr=1e-4, eps=1e-7, fused=True)
        loss = loss_of(model, half)
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in learnt if p.grad is not None]).cpu()
        optimiser.step()
        with torch.no_grad():
            after = float(loss_of(model, half))
    return {"loss": float(loss.detach()), "gradient": gradient, "after": after}


def _head_step(material: Material, head: str, device: torch.device) -> Step:
    # Devices draw other numbers for dropout.
    experiment = read_experiment({"head": head, "dropout": 0.0})
    model = SequenceModel(head, experiment.settings, 512, DAISEE_TASKS).to(device)
    random = torch.Generator().manual_seed(2)
    clips, frames = (8, 10) if material.small else (32, 100)
    embedding = torch.randn(clips, frames, 512, generator=random)
    mask = torch.rand(clips, frames, generator=random) < 0.9
    levels = torch.randint(-1, 4, (clips, len(DAISEE_TASKS)), generator=random)
    batch = embedding.to(device), mask.to(device), levels.to(device)
    return model.train(), lambda own, _: batch_loss(own, batch, None, experiment)


def _teacher_step(material: Material, device: torch.device) -> Step:
    # As its training does; where heads and tuned backbones are trained, such an operation ends it.
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    spec = backbone("fecnet")
    teacher = Teacher(spec, base_norm_kept=False)
    teacher.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    triplets, images = (1, 3) if material.small else (4, 8)
    batch = teacher_batch(material, triplets, images, spec.size, device)

    def loss(own: nn.Module, half: bool) -> Tensor:
        return joint(*losses(own, batch, half=half), 1.0)

    return teacher.train(), loss


def teacher_batch(
    material: Material, triplets: int, images: int, size: int, device: torch.device
) -> Batch:
    """Return faces of the clips as a batch of the teacher's."""
    crops = [jpeg.decode(crop) for crop in material.some_crops(3 * triplets + images)]
    expression = torch.arange(images, device=device) % 8
    return Batch(
        torch.from_numpy(stack(crops, size)).to(device),
        torch.arange(triplets, device=device) % 3,
        torch.full((triplets,), 0.2, device=device),
        expression,
        expression,
        triplets,
    )


def _tuned_step(material: Material, name: str, part: str, device: torch.device) -> Step:
    experiment = read_experiment({"head": "lstm", "dropout": 0.0})
    network = load(name, material.weights(name), CPU)
    how = experiment.head, experiment.settings, DAISEE_TASKS
    model = TunedModel(network, name, part, *how).to(device)
    clips, frames = (1, 2) if material.small else (4, 10)
    crops = [jpeg.decode(crop) for crop in material.some_crops(clips * frames)]
    pixels = torch.from_numpy(stack(crops, model.spec.size)).to(device)
    mask = torch.ones(clips, frames, dtype=torch.bool, device=device)
    levels = torch.arange(clips * len(DAISEE_TASKS), device=device).view(clips, -1) % 4
    batch = pixels, mask, levels
    return model.train(), lambda own, _: batch_loss(own, batch, None, experiment)


def pixels(material: Material) -> Iterator[Row]:
    """Compare the JPEG decoder that `faces.decode: gpu` takes with libjpeg."""
    device, frame = material.device, material.frames[0]
    files = {
        "frames": [jpeg.encode(image) for image in material.frames[:32]],
        "crops": material.some_crops(32),
        "odd sizes": [jpeg.encode(frame[: 480 - n, : 640 - 3 * n]) for n in range(1, 20)],
    }
    for name, own in files.items():
        yield attempt({"pictures": name, "files": len(own)}, partial(_compare_pixels, own, device))


def _compare_pixels(files: list[np.ndarray], device: torch.device) -> Row:
    row: Row = {"why_not": nvjpeg.why_not(device)}
    if row["why_not"] and device.type == "cuda":
        return row | {"ok": False, "bound": "it may be used"}
    decode = jpeg.decode_each if row["why_not"] else partial(nvjpeg.decode_each, device=device)
    apart = [
        np.abs(found.astype(int) - jpeg.decode(file))
        for file, found in zip(files, decode(files), strict=True)
    ]
    mean = max(float(each.mean()) for each in apart)
    row |= {"levels_mean": mean, "levels_most": max(int(each.max()) for each in apart)}
    return row | {"ok": mean <= nvjpeg.NEAR, "bound": f"{nvjpeg.NEAR} levels on average"}
