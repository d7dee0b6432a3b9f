"""The network that is trained: a backbone, and the two heads that it is trained with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from affectflow.backbones.spec import Backbone
from affectflow.dataset.tasks import Task
from affectflow.errors import UserError
from affectflow.teacher.classes import EXPRESSIONS

TRIPLET_DIM = 32
EXPRESSION = Task("expression", "nominal", EXPRESSIONS)
BASE = "base"
HEADS = "heads."


class Teacher(nn.Module):
    """A backbone with a head for FEC's triplets and one for AffectNet's expressions.

    "Two independent linear output heads are added for training - a 32-dimensional embedding for
    the FEC triplets task and an 8-dimensional output head producing class logits" (Abraham 2022,
    section 3.2.1). The embedding is brought to length 1, as Vemulapalli and Agarwala (2019) do:
    their margins are of such embeddings.

    Parameters
    ----------
    spec : Backbone
        What is below its network's attribute `base` is the base.
    base_trained : bool
        Whether the base gets gradients.
    base_norm_kept : bool
        Whether the base's BatchNorm stays in evaluation mode also in training, as where a
        pretrained network is tuned: its running statistics are of millions of faces.
    """

    def __init__(
        self, spec: Backbone, *, base_trained: bool = True, base_norm_kept: bool = True
    ) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = spec.build()
        self.heads = nn.ModuleDict(
            {
                "fec": nn.Linear(spec.dim, TRIPLET_DIM),
                "affectnet": nn.Linear(spec.dim, len(EXPRESSION.levels)),
            }
        )
        self.base_norm_kept = base_norm_kept
        self.backbone.get_submodule(BASE).requires_grad_(base_trained)

    def train(self, mode: bool = True) -> Teacher:
        """Set the mode of all but the base, if that keeps its statistics."""
        super().train(mode)
        if self.base_norm_kept:
            self.backbone.get_submodule(BASE).eval()
        return self

    def forward(self, images: Tensor, triplets: int) -> tuple[Tensor, Tensor]:
        """Return what both losses are of, from one pass of the backbone.

        Algorithm 3.1 applies the backbone to either batch by itself. Together they are one
        batch to its BatchNorm, so that its running statistics, which evaluation uses, are of what
        it was trained on.

        Parameters
        ----------
        images : torch.Tensor
            (3 t + a, size, size, 3) uint8 RGB: t triplets, face by face, then a images of
            AffectNet.
        triplets : int
            t; may be 0.

        Returns
        -------
        tuple of torch.Tensor
            (t, 3, 32) float32 embeddings of length 1; (a, 8) float32 logits.
        """
        embedding = self.embed(images)
        ours, theirs = embedding[: 3 * triplets], embedding[3 * triplets :]
        return self.compare(ours).unflatten(0, (triplets, 3)), self.classify(theirs)

    def embed(self, images: Tensor) -> Tensor:
        """Embed (n, size, size, 3) uint8 RGB images as (n, D)."""
        batch = images.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
        return self.backbone(self.spec.preprocess(batch))

    def compare(self, embedding: Tensor) -> Tensor:
        """Return FEC's embeddings (n, 32) float32, of length 1."""
        return functional.normalize(self._head("fec", embedding), dim=1)

    def classify(self, embedding: Tensor) -> Tensor:
        """Return AffectNet's logits (n, 8) float32."""
        return self._head("affectnet", embedding)

    def _head(self, name: str, embedding: Tensor) -> Tensor:
        # bf16 keeps 8 bits, of which a distance between similar faces would leave few.
        with torch.autocast(embedding.device.type, enabled=False):
            head = self.heads[name]
            return head(embedding.to(next(head.parameters()).dtype)).float()

    def weights(self) -> dict[str, Tensor]:
        """Return the backbone's weights under their own names, the heads' below ``heads.``."""
        own = self.backbone.state_dict()
        heads = {f"{HEADS}{name}": value for name, value in self.heads.state_dict().items()}
        return {
            # safetensors takes one order of memory only.
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, value in (own | heads).items()
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take what `weights` returned."""
        heads = {k.removeprefix(HEADS): v for k, v in weights.items() if k.startswith(HEADS)}
        self.heads.load_state_dict(heads)
        own = {k: v for k, v in weights.items() if not k.startswith(HEADS)}
        self.backbone.load_state_dict(own)


def load_base(network: nn.Module, path: Path) -> None:
    """Give a backbone's base the weights of the whole network that it was cut from.

    Parameters
    ----------
    network : torch.nn.Module
        Its `base` has the names of that network's weights.
    path : Path
        What `affectflow.backbones.weights.prepare` wrote for ``inception_resnet_v1``.

    Raises
    ------
    UserError
        If the file is missing, damaged, or of another network.
    """
    remedy = "Give the file of weights that was prepared for inception_resnet_v1."
    try:
        given = load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file", remedy) from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: is damaged or not safetensors ({error})", remedy) from error
    base = network.get_submodule(BASE)
    wanted = base.state_dict()
    unfit = [k for k, v in wanted.items() if k not in given or given[k].shape != v.shape]
    if unfit:
        raise UserError(
            f"{path}: of the base's {len(wanted)} weights {len(unfit)} are missing or of another "
            f"shape (such as {unfit[0]})",
            remedy,
        )
    base.load_state_dict({name: given[name] for name in wanted})
