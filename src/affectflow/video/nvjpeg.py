"""JPEG decoded by NVIDIA's GPUs: nvJPEG, as torchvision has it.

Its pixels differ from libjpeg's by a few levels, as it smooths colours another way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import islice

import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_jpeg

from affectflow.ahead import ahead
from affectflow.video import jpeg

BATCH = 16
"""Files that are decoded at once."""

NEAR = 2.0
"""How far its pixels may be from libjpeg's on average, of 255 levels: what torchvision tests."""


def decode_each(files: Iterable[np.ndarray | bytes], device: torch.device) -> Iterator[np.ndarray]:
    """Yield JPEG files as RGB images (H, W, 3) uint8, decoded one batch ahead."""
    rest = iter(files)
    batches = iter(lambda: [*islice(rest, BATCH)], [])
    for images in ahead(partial(decode, device=device), batches, 1, 1):
        yield from images


def decode(files: Sequence[np.ndarray | bytes], device: torch.device) -> list[np.ndarray]:
    """Return JPEG files, at least one, as RGB images (H, W, 3) uint8; sizes may differ."""
    # Copied: torch warns of arrays that may not be written to.
    data = [torch.from_numpy(np.array(np.frombuffer(file, np.uint8))) for file in files]
    stream = _stream(device)
    with torch.cuda.stream(stream):
        images = decode_jpeg(data, ImageReadMode.RGB, device)
        # Both kept until the copies are done: other threads decode in this stream, too.
        rows = [image.permute(1, 2, 0).contiguous() for image in images]
        found = [image.to("cpu", non_blocking=True) for image in rows]
    if stream:
        stream.synchronize()
    return [image.numpy() for image in found]


@cache
def _stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return the stream that decodes, and so owns the memory that nvJPEG writes to.

    It writes at once. Memory of the detector's stream may be free for torch's allocator, and
    still be read by work that the GPU has not come to.
    """
    return torch.cuda.Stream(device) if torch.cuda.is_available() else None


def why_not(device: torch.device) -> str:
    """Return why it is not to be used here, empty if it may: a picture is decoded and compared."""
    if device.type != "cuda":
        return f"nvJPEG needs an NVIDIA GPU, and this job has {device}"
    y, x = np.indices((480, 640))
    file = jpeg.encode(np.stack([x // 3, y // 2, (x + y) // 5], 2).astype(np.uint8))
    try:
        (found,) = decode([file], device)
    except RuntimeError as error:
        return f"torchvision {str(error).splitlines()[0]}"
    apart = np.abs(found.astype(float) - jpeg.decode(file)).mean()
    return "" if apart <= NEAR else f"nvJPEG's pixels are {apart:.1f} levels from libjpeg's"
