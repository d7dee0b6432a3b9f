"""How exactly a backbone computes, and what it is turned into so that it computes quickly."""

from __future__ import annotations

import copy
import logging
import operator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.experimental.optimization import fuse
from torch.fx.proxy import TraceError

from affectflow.backbones.int8 import quantised
from affectflow.backbones.spec import Backbone
from affectflow.errors import UserError, did_you_mean

log = logging.getLogger(__name__)

PRECISIONS = ("auto", "fp32", "fp16", "bf16", "int8")
HALVES = {"fp16": torch.float16, "bf16": torch.bfloat16}
TENSOR_CORES = (7, 0)
"""CUDA's capability from which half precision is quicker."""


def choose(precision: str, device: torch.device) -> str:
    """Return how to compute on a device.

    Parameters
    ----------
    precision : {"auto", "fp32", "fp16", "bf16", "int8"}
        ``auto``: fp16 on a GPU with tensor cores, bf16 on a CPU with instructions for it, else
        fp32. ``int8`` is never chosen unasked.
    device : torch.device

    Raises
    ------
    UserError
        If the name is unknown, or the device is not made for it.
    """
    if precision not in PRECISIONS:
        raise UserError(
            f"precision: unknown precision '{precision}'", did_you_mean(precision, PRECISIONS)
        )
    known = able(device)
    if precision == "auto":
        return next(name for name in ("fp16", "bf16", "fp32") if name in known)
    if precision not in known:
        raise UserError(
            f"precision: this {device.type} device is not made for {precision}",
            f"Set precision: auto, or one of {', '.join(known)}.",
        )
    return precision


def able(device: torch.device) -> list[str]:
    """Return the precisions that a device is made for, the most exact first."""
    found = ["fp32"]
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= TENSOR_CORES:
            found.append("fp16")
        if torch.cuda.is_bf16_supported(including_emulation=False):
            found.append("bf16")
    if device.type == "cpu":
        # Older torch, as old GPUs need it, does not tell.
        has: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        if has.get("avx512_bf16") or has.get("amx_bf16"):
            found.append("bf16")
        # Without these instructions the kernels of int8 lose sums to saturation.
        if has.get("avx512_vnni") or has.get("avx_vnni"):
            found.append("int8")
    return found


def quickened(spec: Backbone, network: nn.Module, precision: str) -> nn.Module:
    """Return a network that gives the same embeddings in less time.

    BatchNorm and constant factors are computed into the convolution before them, and memory is laid
    out channels last, which is faster on CPUs and on GPUs with tensor cores.

    Parameters
    ----------
    spec : Backbone
    network : torch.nn.Module
        In evaluation mode; it is left as it is.
    precision : str
        Of `choose`: what the result takes and gives.
    """
    try:
        network = _factors_folded(cast(GraphModule, fuse(network)))
    except TraceError as error:
        log.info("BatchNorm is not folded into convolutions: torch.fx can't trace: %s", error)
        network = copy.deepcopy(network)
    if precision == "int8":
        return quantised(spec, network)
    dtype = HALVES.get(precision, torch.float32)
    return network.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]


def _factors_folded(network: GraphModule) -> GraphModule:
    """Compute constant factors of convolutions into them, as Inception-ResNet's residuals have."""
    modules = dict(network.named_modules())
    for product in network.graph.find_nodes(op="call_function", target=operator.mul):
        seen, factor = product.args
        is_module = isinstance(seen, Node) and seen.op == "call_module"
        convolution = modules.get(str(seen.target)) if is_module else None
        calls = network.graph.find_nodes(op="call_module", target=getattr(seen, "target", None))
        if (
            isinstance(convolution, nn.Conv2d)
            and len(calls) == len(seen.users) == 1
            and isinstance(factor, int | float)
        ):
            convolution.weight.data *= factor
            if convolution.bias is not None:
                convolution.bias.data *= factor
            product.replace_all_uses_with(seen)
            network.graph.erase_node(product)
    network.recompile()
    return network


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the cosine similarity of each two rows of (n, D), (n,) float64."""
    return nn.functional.cosine_similarity(
        torch.from_numpy(one).double(), torch.from_numpy(other).double()
    ).numpy()


def in_dtype(precision: str, batch: Tensor) -> Tensor:
    """Return a batch as the network of that precision takes it."""
    return batch.to(HALVES.get(precision, torch.float32))
