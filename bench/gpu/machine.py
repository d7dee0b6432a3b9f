"""What the run is on, and what it looks at."""

from __future__ import annotations

import platform
from collections.abc import Iterator

import av
import torch
import torchvision
from material import Material, Row

from affectflow.backbones.precision import able


def machine(material: Material) -> Iterator[Row]:
    """Tell of the device, the cores, and the libraries that compute."""
    device = material.device
    row: Row = {
        "device": device.type,
        "cores": material.cores,
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "libav": ".".join(map(str, av.library_versions["libavcodec"])),
        "precisions": able(device),
    }
    if device.type == "cuda":
        own = torch.cuda.get_device_properties(device)
        row |= {
            "device": own.name,
            "gpu_mib": own.total_memory / 2**20,
            "capability": f"{own.major}.{own.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    yield row


def clips(material: Material) -> Iterator[Row]:
    """Generate the clips, and have a CPU find the faces that are embedded."""
    sizes = [video.stat().st_size for video in material.videos]
    yield {"clips": len(sizes), "frames_each": material.sizes.frames, "bytes": sum(sizes)}
    yield {"crops": len(material.crops)}
