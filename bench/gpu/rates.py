"""How fast is each stage, and who is busy meanwhile? Each row is of one setting, best guess first.

`gpu_busy` is the driver's share of the time in which any kernel ran, `device_busy` that of the
library's own clock, from where the device comes to a batch until that is done; `cores_busy` is how
many cores worked.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from checks import teacher_batch
from load import Load
from material import Material, Row, attempt
from shared_gpu import in_processes
from torch import Tensor

from affectflow.backbones.embed import embed_shards
from affectflow.backbones.embedder import Embedder, open_embedder, run, stack
from affectflow.backbones.precision import choose
from affectflow.backbones.weights import backbone
from affectflow.dataset.tasks import DAISEE_TASKS
from affectflow.devices import reproducible
from affectflow.faces.between import looks
from affectflow.faces.clip import ClipFaces, build_detectors, find_faces, iter_crops
from affectflow.faces.detect import detect_in_videos
from affectflow.joblog import FRAMES
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.files import open_complete
from affectflow.teacher.losses import joint
from affectflow.teacher.network import Teacher
from affectflow.teacher.training import losses
from affectflow.temporal.sequence_model import SequenceModel
from affectflow.training.experiment import read_experiment
from affectflow.training.fit import batch_loss
from affectflow.video import jpeg, nvjpeg
from affectflow.video.direct import iter_clips

BACKBONE = "inception_resnet_v1"
"""Of the whole way from videos to embeddings: the dissertation's own."""

DIM, LENGTH = 512, 100
"""Of the sequences that heads are trained on."""


class Said(logging.Handler):
    """Keeps what the stages log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines = list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append(record.getMessage())

    def busy(self) -> float:
        """Return the share of the time in which the device had work, of the last line with it."""
        found = [match for line in self.lines if (match := FRAMES.search(line))]
        return float(found[-1][6])


def whole(material: Material) -> Iterator[Row]:
    """From videos to embeddings, through the files that jobs write and read."""
    for threads in material.threads:
        told = {"threads": threads, "processes": 1}
        yield attempt(told, partial(_way, material, threads))
    for processes in material.sizes.processes:
        threads = max(material.cores // processes, 1)
        told = {"threads": threads, "processes": processes}
        yield attempt(told, partial(_ways, material, threads, processes))


def _way(material: Material, threads: int) -> Row:
    way = Way(material, threads)
    way.run(1)
    return way.run(material.sizes.shard)


class Way:
    """A process that detects and embeds as jobs do.

    Parameters
    ----------
    material : Material
    threads : int
        CPU threads that feed the device.
    """

    def __init__(self, material: Material, threads: int) -> None:
        self.material, self.threads = material, threads
        name = BACKBONE if BACKBONE in material.backbones else material.backbones[0]
        weights = material.weights(name)
        self.embedder = open_embedder(name, weights, material.device, "auto", threads)
        self.said = Said()
        logger = logging.getLogger("affectflow")
        logger.setLevel(logging.INFO)
        logger.addHandler(self.said)

    def run(self, clips: int) -> Row:
        """Detect and embed the faces of so many clips; return how fast either was."""
        material, device = self.material, self.material.device
        names, (frames, faces) = material.shard(clips), material.settings()
        with TemporaryDirectory(dir=material.folder) as top:
            shard, target = Path(top) / "faces.h5", Path(top) / "embeddings.h5"
            with Load(device) as both:
                with Load(device) as detection:
                    detect_in_videos(
                        names, material.root, frames, faces, device, shard, threads=self.threads
                    )
                detect_busy, before = self.said.busy(), self.embedder.busy.seconds
                with Load(device) as embedding:
                    embed_shards([shard], self.embedder, target)
                embed_busy = (self.embedder.busy.seconds - before) / embedding.wall
            with open_complete(shard, FACES) as file:
                found = int(file["mask"][:].sum())
                looked_at = int((file["frame_index"][:] >= 0).sum())
        parts = {"detect": (detection, detect_busy), "embed": (embedding, embed_busy)}
        row: Row = {"frames": looked_at, "faces": found}
        row |= {"frames_per_s": looked_at / both.wall} | both.row()
        for name, (load, busy) in parts.items():
            own = load.row()
            row |= {f"{name}_frames_per_s": looked_at / load.wall, f"{name}_device_busy": busy}
            row |= {f"{name}_{key}": own[key] for key in ("cores_busy", "gpu_busy") if key in own}
            row["gpu_mib"] = max(own["gpu_mib"], row["gpu_mib"]) if "gpu_mib" in own else None
        return row


def _ways(material: Material, threads: int, processes: int) -> Row:
    """Several processes that share the device, as several jobs of a GPU do."""
    clips = max(material.sizes.shard // processes, 1)
    return in_processes(material, threads, processes, clips)


def detect(material: Material) -> Iterator[Row]:
    """The detector on decoded frames, a whole clip, and the cutting and coding of faces."""
    device = material.device
    _, settings = material.settings()
    detector = build_detectors(settings, str(device))[0]
    for images in material.sizes.images:
        shown = material.frames[:images]
        told = {"part": "frames, each whole", "batch": len(shown)}
        yield attempt(told, partial(material.pace, partial(detector.detect, shown), len(shown)))
    clips = material.decoded(1 if material.small else 2)
    detectors = build_detectors(settings, str(device))
    count = sum(len(clip.images) for clip in clips)

    def follow() -> list[ClipFaces]:
        return [
            find_faces(clip.images, detectors, looks(settings["every"], clip.time))
            for clip in clips
        ]

    yield attempt({"part": "clips, every: auto"}, partial(material.pace, follow, count))
    found = follow()
    for threads in (*material.threads, 0):

        def cut(threads: int = threads) -> None:
            for clip, own in zip(clips, found, strict=True):
                crops = iter_crops(clip.images, own, settings["crop_size"], threads=threads)
                deque((jpeg.encode(crop) for crop in crops if crop is not None), maxlen=0)

        told = {"part": "faces cut, then coded by one thread", "threads": threads}
        yield attempt(told, partial(material.pace, cut, count))


def embed(material: Material) -> Iterator[Row]:
    """Networks on batches that lie on the device, and all of embedding from JPEG files."""
    device = material.device
    usual = choose("auto", device)

    @cache
    def embedder(name: str, precision: str) -> Embedder:
        return open_embedder(name, material.weights(name), device, precision)

    for name in material.backbones:
        for threads in material.threads:
            told = {"part": "files", "backbone": name, "precision": usual, "threads": threads}
            way = partial(_files, material, embedder, name, usual, threads)
            yield attempt(told, way)
    for batch in material.sizes.crops:
        first = batch == material.sizes.crops[0]
        for name in material.backbones:
            for precision in material.precisions if first else [usual]:
                told = {"part": "network", "backbone": name, "precision": precision, "batch": batch}
                way = partial(_forward, material, embedder, name, precision, batch)
                yield attempt(told, way)


Opened = Callable[[str, str], Embedder]
"""Opens a backbone in a precision, once."""


def _forward(material: Material, opened: Opened, name: str, precision: str, batch: int) -> Row:
    embedder = opened(name, precision)
    crops = [jpeg.decode(crop) for crop in material.some_crops(min(batch, 64))]
    pixels = stack([crops[n % len(crops)] for n in range(batch)], embedder.backbone.size)
    ready = torch.from_numpy(pixels).to(material.device)

    @torch.inference_mode()
    def forward() -> Tensor:
        return run(embedder.backbone, embedder.network, ready, precision)

    return material.pace(forward, batch, "faces")


def _files(material: Material, opened: Opened, name: str, precision: str, threads: int) -> Row:
    embedder = opened(name, precision)
    embedder.threads = threads if embedder.cuda else 0
    count = 2 * embedder.batch if material.small else 8 * embedder.batch
    files = material.some_crops(count)

    def work() -> None:
        deque(embedder.embed_files(files), maxlen=0)

    return material.pace(work, count, "faces", lambda: embedder.busy.seconds)


def decode(material: Material) -> Iterator[Row]:
    """Videos to pixels on the cores; JPEG frames to pixels on the cores and by nvJPEG."""
    frames, _ = material.settings()
    for threads in material.threads:
        names = material.shard(2 if material.small else max(2 * threads, 4))

        def work(names: Sequence[tuple[str, str]] = names, threads: int = threads) -> None:
            deque(iter_clips(names, material.root, frames, threads), maxlen=0)

        count = len(names) * material.sizes.frames
        yield attempt({"part": "videos", "threads": threads}, partial(material.pace, work, count))
    files = [jpeg.encode(image) for image in material.frames]
    for threads in (*material.threads, 0):
        told = {"part": "JPEG frames, cores", "threads": threads}
        yield attempt(
            told, partial(_jpeg, material, files, partial(jpeg.decode_each, threads=threads))
        )
    if not nvjpeg.why_not(material.device):
        told = {"part": "JPEG frames, nvJPEG", "batch": nvjpeg.BATCH}
        how = partial(nvjpeg.decode_each, device=material.device)
        yield attempt(told, partial(_jpeg, material, files, how))


def _jpeg(material: Material, files: list[np.ndarray], how: jpeg.Decode) -> Row:
    return material.pace(lambda: deque(how(files), maxlen=0), len(files))


def train(material: Material) -> Iterator[Row]:
    """Steps of heads on sequences that lie on the device, and of the teacher on such faces."""
    for head in ("lstm", "tcn"):
        for batch in material.sizes.sequences:
            told = {"trained": head, "batch": batch}
            yield attempt(told, partial(_train_head, material, head, batch))
    device = material.device
    for precision in ("bf16", "fp32") if device.type == "cuda" else ("fp32",):
        for triplets in (1,) if material.small else (16, 64):
            told = {"trained": "teacher", "precision": precision, "batch": triplets}
            yield attempt(told, partial(_train_teacher, material, precision == "bf16", triplets))


def _train_head(material: Material, head: str, batch: int) -> Row:
    device, experiment = material.device, read_experiment({"head": head})
    length = 10 if material.small else LENGTH
    with reproducible(torch.get_num_threads()):
        torch.manual_seed(1)
        model = SequenceModel(head, experiment.settings, DIM, DAISEE_TASKS).to(device).train()
        optimiser = torch.optim.Adam(model.parameters(), fused=True)
        given = (
            torch.randn(batch, length, DIM, device=device),
            torch.ones(batch, length, dtype=torch.bool, device=device),
            torch.randint(0, 4, (batch, len(DAISEE_TASKS)), device=device),
        )

        def step() -> None:
            optimiser.zero_grad()
            batch_loss(model, given, None, experiment).backward()
            optimiser.step()

        return material.pace(step, batch * length)


def _train_teacher(material: Material, half: bool, triplets: int) -> Row:
    device, spec = material.device, backbone("fecnet")
    with reproducible(torch.get_num_threads()):
        torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
        teacher = Teacher(spec, base_norm_kept=False)
        teacher.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        teacher.train()
        optimiser = torch.optim.Adam(teacher.parameters(), fused=True)
        given = teacher_batch(material, triplets, triplets, spec.size, device)

        def step() -> None:
            optimiser.zero_grad()
            joint(*losses(teacher, given, half=half), 1.0).backward()
            optimiser.step()

        return material.pace(step, len(given.images), "faces")
