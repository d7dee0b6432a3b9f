"""Weights of a backbone, checked once on the login node and kept as one safetensors file.

Published and users' files are read with ``weights_only=True`` or as safetensors: nothing is
unpickled as an object.
"""

from __future__ import annotations

import logging
import pickle
import shutil
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from affectflow import registry
from affectflow.backbones.spec import Backbone
from affectflow.errors import UserError
from affectflow.provenance.atomic import atomic
from affectflow.provenance.content import sha256

log = logging.getLogger(__name__)

TIMEOUT = 60.0


def backbone(name: str) -> Backbone:
    """Return the backbone of that name.

    Raises
    ------
    UserError
        If there is none.
    """
    return registry.load("backbones.models", name).BACKBONE


def prepare(name: str, settings: Mapping[str, Any], seed: int, target: Path) -> None:
    """Fetch, read or draw a backbone's weights, check them, and write them to `target`.

    Parameters
    ----------
    name : str
        The backbone.
    settings : mapping
        `weights`: ``"random"``, ``"pretrained"`` or a path; `sha256` (optional): the file's.
    seed : int
        Of random weights.
    target : Path
        A safetensors file, with its `source` in the metadata.

    Raises
    ------
    UserError
        If the file can't be had or read, its sha256 differs, or it is of another architecture.
    """
    spec, choice = backbone(name), str(settings["weights"])
    expected = settings.get("sha256")
    if choice == "random":
        torch.manual_seed(seed)
        state, source = spec.build().state_dict(), f"random, seed {seed}"
    elif choice == "pretrained":
        if spec.pretrained is None:
            raise UserError(
                f"backbones.{name}.weights: no published weights are known", "Give a path."
            )
        file = target.with_suffix(".download")
        _download(name, spec.pretrained.url, file)
        state = _read(name, spec, file, expected or spec.pretrained.sha256)
        source = f"{spec.pretrained.url}, sha256 {sha256(file)}"
        file.unlink()
    else:
        file = Path(choice).expanduser()
        state = _read(name, spec, file, expected)
        source = f"{file.name}, sha256 {sha256(file)}"
    log.info("%s: weights %s", name, source)
    with atomic(target) as temporary:
        tensors = {key: value.contiguous() for key, value in state.items()}
        save_file(tensors, temporary, metadata={"backbone": name, "source": source})


def load(name: str, path: Path, device: torch.device) -> nn.Module:
    """Return the network with the weights that `prepare` wrote, ready to embed."""
    network = backbone(name).build()
    network.load_state_dict(load_file(path))
    return network.eval().requires_grad_(False).to(device)


def _download(name: str, url: str, target: Path) -> None:
    log.info("%s: fetching %s", name, url)
    try:
        with (
            atomic(target) as temporary,
            urllib.request.urlopen(url, timeout=TIMEOUT) as response,
            open(temporary, "wb") as file,
        ):
            shutil.copyfileobj(response, file)
    except (URLError, TimeoutError, ConnectionError) as error:
        raise UserError(
            f"backbones.{name}.weights: {url} can't be fetched from this machine ({error})",
            f"Fetch it elsewhere, copy it here, and set backbones.{name}.weights to its path.",
        ) from error


def _read(name: str, spec: Backbone, path: Path, expected: str | None) -> dict[str, Tensor]:
    where = f"backbones.{name}.weights: {path}"
    if not path.is_file():
        raise UserError(f"{where}: no such file", "Give a path, `pretrained`, or `random`.")
    if expected:
        found = sha256(path)
        if found != expected.lower():
            raise UserError(
                f"{where}: its sha256 is {found}, not {expected}",
                "The file is damaged or another one: fetch it again, or correct the sha256.",
            )
    try:
        state: Any
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{where}: holds Python objects, or is no file of weights",
            "Only plain state dicts are read: torch.save(model.state_dict(), path).",
        ) from error
    except Exception as error:  # torch raises many kinds for a damaged file, IndexError too
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(
            f"{where}: is cut short or no file of weights ({reason})", "Fetch it again."
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()
    ):
        raise UserError(f"{where}: holds no state dict", "Save model.state_dict().")
    return _fit(name, spec, where, state)


def _fit(name: str, spec: Backbone, where: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    state = {key.removeprefix("module."): value for key, value in state.items()}
    wanted = spec.build().state_dict()
    state = {k: v for k, v in state.items() if not k.startswith(spec.ignored) or k in wanted}
    for key in wanted:
        if key.endswith("num_batches_tracked"):
            # Old files lack these counters, and evaluation never looks at them.
            state.setdefault(key, wanted[key])
    missing = sorted(wanted.keys() - state.keys())
    unknown = sorted(state.keys() - wanted.keys())
    shapes = [k for k in wanted.keys() & state.keys() if wanted[k].shape != state[k].shape]
    faults = [
        f"{len(keys)} {kind} (such as {sorted(keys)[0]})"
        for kind, keys in (("missing", missing), ("unknown", unknown), ("of another shape", shapes))
        if keys
    ]
    if faults:
        raise UserError(
            f"{where}: is not {name}: of {len(wanted)} weights {', '.join(faults)}",
            f"Give weights of {name}, or name the backbone that these belong to.",
        )
    return {key: state[key].to(value.dtype) for key, value in wanted.items()}
