"""What the sections look at: generated clips of one face, its crops, and networks to give them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from load import Load

from affectflow import registry
from affectflow.backbones.precision import able
from affectflow.backbones.weights import prepare
from affectflow.demo.corpus import film, write_video
from affectflow.demo.plan import Clip, Quirk, plan_corpus
from affectflow.errors import UserError
from affectflow.faces.detect import detect_in_videos
from affectflow.provenance.atomic import atomic
from affectflow.shards.faces import CONTENT as FACES
from affectflow.shards.files import open_complete
from affectflow.shards.frames import Frames
from affectflow.video.direct import iter_clips

Row = dict[str, Any]
CPU = torch.device("cpu")
CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"
VIDEOS = (".avi", ".mp4")
"""As DAiSEE has them: XVID in AVI, H.264 in MP4."""


@dataclass(frozen=True)
class Sizes:
    """How much is done.

    Attributes
    ----------
    clips, frames : int
        Different clips, and frames of each at 30 per second.
    compared : int
        Clips that a CPU and the device both look at.
    shard : int
        Clips of one measurement; they are the different ones over and over.
    seconds : float
        How long a measurement lasts at least.
    threads, processes, images, crops, sequences : tuple of int
        Settings that are measured: CPU threads beside the device, processes that share it, frames
        that the detector is shown at once, crops and sequences in a batch.
    """

    clips: int = 8
    frames: int = 300
    compared: int = 4
    shard: int = 24
    seconds: float = 1.0
    threads: tuple[int, ...] = (16, 8, 4)
    processes: tuple[int, ...] = (4, 2)
    images: tuple[int, ...] = (72, 16, 144, 4)
    crops: tuple[int, ...] = (256, 64, 1024)
    sequences: tuple[int, ...] = (32, 256)


SMALL = Sizes(2, 12, 1, 1, 0.01, (2,), (1,), (4,), (4,), (4,))
"""To see that all of it runs, in a minute of a CPU."""


class Material:
    """The clips of a run, and what is made of them once.

    Parameters
    ----------
    folder : Path
        For generated clips, weights and crops; what is there already is used again.
    device : torch.device
        What is compared with the CPU, and measured.
    small : bool
    clips : Path or None
        A folder of videos to take in place of generated ones.
    cores : int
        Of the machine, or that are to be used.
    """

    def __init__(
        self, folder: Path, device: torch.device, small: bool, clips: Path | None, cores: int
    ) -> None:
        self.folder, self.device, self.small, self.cores = folder, device, small, cores
        self.sizes = SMALL if small else Sizes()
        self.given = clips
        self.threads = [each for each in self.sizes.threads if each <= cores] or [cores]

    @cached_property
    def root(self) -> Path:
        """The folder of the videos."""
        return self.given or self.folder / f"clips-{self.sizes.frames}"

    @cached_property
    def videos(self) -> list[Path]:
        """The videos; they are generated if no folder was given.

        Raises
        ------
        UserError
            If the given folder can't be read, or has none.
        """
        if self.given is None:
            plan = [clip for clip in plan_corpus(1) if clip.quirk is Quirk.NONE]
            chosen = plan[:: max(len(plan) // self.sizes.clips, 1)][: self.sizes.clips]
            self.root.mkdir(parents=True, exist_ok=True)
            with ThreadPoolExecutor(min(self.cores, len(chosen))) as pool:
                return [*pool.map(self._film, chosen, cycle(VIDEOS))]
        try:
            found = sorted(path for path in self.given.iterdir() if path.suffix in VIDEOS)
        except OSError as error:
            raise UserError(f"{self.given}: {error.strerror}", "Give a folder of videos.") from None
        if not found:
            raise UserError(f"{self.given}: no {' or '.join(VIDEOS)}", "Give a folder of videos.")
        return found

    def _film(self, clip: Clip, suffix: str) -> Path:
        target = self.root / f"{clip.stem}{suffix}"
        if not target.exists():
            with atomic(target) as temporary:
                unfinished = temporary.with_suffix(suffix)
                write_video(unfinished, film(clip, frames=self.sizes.frames))
                unfinished.replace(temporary)
        return target

    def shard(self, clips: int) -> list[tuple[str, str]]:
        """Return so many clip ids and paths from `root`, the videos over and over."""
        names = [str(video.relative_to(self.root)) for video in self.videos]
        return [(f"{n:05d}", name) for n, name in enumerate(islice(cycle(names), clips))]

    def settings(self, **faces: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the config's `frames` and `faces`, all frames being looked at."""
        config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
        frames = config["frames"] | {"per_clip": self.sizes.frames, "on_disk": False}
        return frames, config["faces"] | faces

    def decoded(self, clips: int) -> list[Frames]:
        """Return clips with their frames' pixels."""
        frames, _ = self.settings()
        return [*iter_clips(self.shard(clips), self.root, frames)]

    @cached_property
    def frames(self) -> list[np.ndarray]:
        """Frames (480, 640, 3) uint8 RGB: as many as any measurement shows at once."""
        images = (image for clip in self.decoded(self.sizes.compared) for image in clip.images)
        return [*islice(images, max(self.sizes.images))]

    @cached_property
    def faces(self) -> Path:
        """A shard of faces that a CPU found in the clips that are compared."""
        target = self.folder / f"faces-{self.sizes.frames}.h5"
        if self.given or not target.exists():
            frames, faces = self.settings()
            names = self.shard(self.sizes.compared)
            detect_in_videos(names, self.root, frames, faces, CPU, target)
        return target

    @cached_property
    def crops(self) -> list[np.ndarray]:
        """Its crops, each a JPEG file (n,) uint8."""
        with open_complete(self.faces, FACES) as file:
            crops = [*file["crop"][:][file["mask"][:]]]
        if not crops:
            raise UserError(f"{self.root}: no face in the first clips", "Give clips with faces.")
        return crops

    def some_crops(self, count: int) -> list[np.ndarray]:
        """Return so many of them, spread over the clips; over and over if there are fewer."""
        step = max(len(self.crops) // count, 1)
        return [*islice(cycle(self.crops[::step]), count)]

    def weights(self, backbone: str) -> Path:
        """Return the file of a backbone's random weights."""
        target = self.folder / f"{backbone}.safetensors"
        if not target.exists():
            prepare(backbone, {"weights": "random"}, 1, target)
        return target

    @property
    def backbones(self) -> list[str]:
        """Those that are looked at: all there are, or one."""
        known = registry.names("backbones.models")
        return ["fecnet"] if self.small else known

    @property
    def precisions(self) -> list[str]:
        """Those that the device is made for; int8 takes long to be ready, and is a CPU's alone."""
        return [name for name in able(self.device) if name != "int8"]

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def pace(
        self,
        work: Callable[[], Any],
        each: int,
        what: str = "frames",
        busy: Callable[[], float] | None = None,
    ) -> Row:
        """Do work again and again; return how much per second, and who was busy.

        Once first, unmeasured: convolutions are planned, and loops compiled, at the first call.

        Parameters
        ----------
        work : callable
        each : int
            Frames, or other things, in one call.
        what : str
            Their name.
        busy : callable or None
            Returns the seconds in which the device had work so far.
        """
        work()
        self.wait()
        times, before = 0, busy() if busy else 0.0
        with Load(self.device) as load:
            while load.seconds() < self.sizes.seconds:
                work()
                # Waiting here would keep the device idle between calls; a few may be on their way.
                times += 1
                if times % 4 == 0:
                    self.wait()
            self.wait()
        row = {f"{what}_per_s": times * each / load.wall} | load.row()
        return row | ({"device_busy": (busy() - before) / load.wall} if busy else {})


def attempt(told: Row, work: Callable[[], Row]) -> Row:
    """Return a row, told first what it is of, or with what went wrong: others are worth having."""
    try:
        return told | work()
    except Exception as error:
        if "CUDA error" in str(error) and "out of memory" not in str(error):
            raise  # a GPU that failed once gives this process nothing any more
        words = f"{type(error).__name__}: {error}"
        return told | {"error": words, "traceback": traceback.format_exc()}
