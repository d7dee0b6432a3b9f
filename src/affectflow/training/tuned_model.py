"""A sequence model whose backbone is trained with it."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from affectflow.backbones.embedder import run
from affectflow.backbones.spec import Backbone
from affectflow.backbones.weights import backbone as find
from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.temporal.sequence_model import SequenceModel

CHUNK = 32
"""Crops that go through the backbone at once."""


class TunedModel(SequenceModel):
    """Scores of each task from a clip's face crops.

    The backbone stays in evaluation mode, also while it is trained. BatchNorm keeps its running
    statistics and uses them: a batch has few clips, and the frames of a clip are all but copies of
    each other, so its own statistics would be those of a few people. (He et al. 2016, appendix A,
    fix them too where they tune for detection, to save memory.) And the model starts from the very
    embeddings that its standardiser was measured on, which dropout within the backbone would
    change.

    Parameters
    ----------
    network : torch.nn.Module
        The backbone's network with its weights; a copy of it is trained.
    backbone : str
        A file of ``backbones/models``.
    fine_tune : {"last", "all"}
        ``last``: only the weights that the backbone's `last` names are trained; what lies before
        them gets no gradient, and keeps no activations for one. ``all``: every weight. Then each
        chunk of crops is run again when its gradient is wanted (Chen et al. 2016, "Training deep
        nets with sublinear memory cost"), so that memory is that of one chunk, however many frames
        a batch has.
    head, settings, tasks, normalise, loss
        See `SequenceModel`.

    Raises
    ------
    UserError
        If the backbone does not say what its last block is, or there is no such head or loss.
    """

    def __init__(
        self,
        network: nn.Module,
        backbone: str,
        fine_tune: str,
        head: str,
        settings: Mapping[str, Any],
        tasks: Sequence[Task],
        normalise: str = "dataset",
        loss: str = "cross_entropy",
    ) -> None:
        self.spec = find(backbone)
        super().__init__(head, settings, self.spec.dim, tasks, normalise, loss)
        self.description |= {"backbone": backbone, "fine_tune": fine_tune}
        self.fine_tune = fine_tune
        own = copy.deepcopy(network).requires_grad_(False)
        self.backbone: nn.Module = own.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        names = tuned_names(backbone, self.spec, own, fine_tune)
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(name in names)
        self.backbone.eval()

    def train(self, mode: bool = True) -> TunedModel:
        """Set the mode of all but the backbone, which stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    def embed(self, given: Tensor, mask: Tensor) -> Tensor:
        """Return embeddings (B, S, D) float32 of crops (n, size, size, 3) uint8.

        The crops are those of the n unmasked frames of mask (B, S) bool, clip by clip, in the
        order of their frames. The embeddings of masked frames are zeros.
        """
        parts = given.split(CHUNK)
        again = self.fine_tune == "all" and len(parts) > 1 and torch.is_grad_enabled()
        found = [self._again(part) if again else self._run(part) for part in parts]
        embedding = torch.cat(found)
        flat = embedding.new_zeros(mask.numel(), self.spec.dim)
        places = mask.reshape(-1).nonzero().squeeze(1)
        return flat.index_copy(0, places, embedding).view(*mask.shape, self.spec.dim)

    def _run(self, pixels: Tensor) -> Tensor:
        return run(self.spec, self.backbone, pixels)

    def _again(self, pixels: Tensor) -> Tensor:
        # There is no dropout in evaluation mode: no random state to bring back.
        return checkpoint(self._run, pixels, use_reentrant=False, preserve_rng_state=False)


def tuned_names(name: str, spec: Backbone, network: nn.Module, fine_tune: str) -> set[str]:
    """Return the names of a backbone's parameters that are trained.

    Raises
    ------
    UserError
        If the backbone does not say what its last block is.
    """
    every = [own for own, _ in network.named_parameters()]
    if fine_tune == "all":
        return set(every)
    last = {own for own in every if own.startswith(spec.last)}
    if not last:
        raise UserError(
            f"fine_tune: last: {name} does not say what its last block is",
            f"Set `last` in backbones/models/{name}.py, or take fine_tune: all.",
        )
    return last


def from_description(content: Mapping[str, Any], tasks: Sequence[Task]) -> TunedModel:
    """Return the model that a ``model.json`` describes, its weights at random.

    Raises
    ------
    UserError
        If there is no such backbone, head or loss.
    KeyError
        If the description lacks something.
    """
    name = content["backbone"]
    keys = ("head", "settings", "normalise", "loss")
    head, settings, normalise, loss = (content[key] for key in keys)
    network = find(name).build()
    return TunedModel(network, name, content["fine_tune"], head, settings, tasks, normalise, loss)
