"""A backbone in whole numbers of eight bits, for CPUs without bf16 (VNNI: Intel since 2019).

Weights are scaled by output channel, activations by tensor, as Jacob et al. (2018, CVPR) do. How
large activations get is seen on faces that are the same for every study and every shard, so that
an embedding hangs on its crop alone. Whether they serve a study's own faces is measured there
(`affectflow.backbones.embed`).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator

import cv2
import numpy as np
import torch
from skimage.data import astronaut
from torch import nn
from torch.ao.nn import quantized
from torch.ao.nn.intrinsic import quantized as intrinsic
from torch.fx import GraphModule

from affectflow.backbones.spec import Backbone

FACES = 24
FACE = (slice(40, 200), slice(150, 300))
"""Where the face of scikit-image's public-domain portrait is."""


def quantised(spec: Backbone, network: nn.Module) -> nn.Module:
    """Return the network in int8, but for its linear layers: their numbers are the embedding.

    Parameters
    ----------
    spec : Backbone
    network : torch.nn.Module
        float32, in evaluation mode, on the CPU; it is left as it is.
    """
    torch.backends.quantized.engine = "onednn"
    # It is about saturation, which `embed_shards` would see.
    warnings.filterwarnings("ignore", "All inputs of this cat operator")
    images = torch.from_numpy(np.stack(list(_faces(spec.size))))
    batch = spec.preprocess(images.permute(0, 3, 1, 2).float())
    with warnings.catch_warnings(), torch.no_grad():
        # torchao is to take this over, and needs a compiler on the node for it so far.
        warnings.simplefilter("ignore")
        from torch.ao.quantization import (
            MinMaxObserver,
            QConfig,
            QConfigMapping,
            default_per_channel_weight_observer,
        )
        from torch.ao.quantization.backend_config import get_onednn_backend_config
        from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

        # What oneDNN does in one pass: a convolution adds the residual before it is rounded.
        able = get_onednn_backend_config()
        activation = MinMaxObserver.with_args(dtype=torch.quint8)
        whole = QConfig(activation=activation, weight=default_per_channel_weight_observer)
        kinds = QConfigMapping().set_global(whole).set_object_type(nn.Linear, None)
        observed = prepare_fx(copy.deepcopy(network), kinds, (batch[:1],), backend_config=able)
        for part in batch.split(8):
            observed(part)
        return _residuals_kept(convert_fx(observed, backend_config=able))


def _residuals_kept(network: GraphModule) -> GraphModule:
    """Copy residuals that are looked at again: a convolution that adds one writes its sum there."""
    modules = dict(network.named_modules())
    order = {node: place for place, node in enumerate(network.graph.nodes)}
    adding = intrinsic.ConvAdd2d, intrinsic.ConvAddReLU2d
    for node, place in order.items():
        if not isinstance(modules.get(str(node.target)), adding):
            continue
        pixels, residual = node.args
        own = isinstance(modules.get(str(residual.target)), quantized.Conv2d)
        last = max(order.get(user, 0) for user in residual.users) == place
        if not own or not last or pixels is residual:
            with network.graph.inserting_before(node):
                node.args = pixels, network.graph.call_method("clone", (residual,))
    network.recompile()
    return network


def _faces(size: int) -> Iterator[np.ndarray]:
    """Yield one face nearer and farther, turned, in light and shade, (size, size, 3) uint8 RGB."""
    random, face = np.random.default_rng(1), astronaut()[FACE]
    height, width = face.shape[:2]
    for place in range(FACES):
        zoom = size / min(height, width) * random.uniform(0.9, 1.6)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-20, 20), zoom)
        turn[:, 2] += [(size - width) / 2, (size - height) / 2]
        view = cv2.warpAffine(face, turn, (size, size), borderMode=cv2.BORDER_REFLECT)
        view = view[:, ::-1] if place % 2 else view
        lit = view * random.uniform(0.3, 1.4) + random.uniform(-20, 60)
        yield np.clip(lit * random.uniform(0.85, 1.15, 3), 0, 255).astype(np.uint8)
