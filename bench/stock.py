"""The pipeline that most projects have: facenet-pytorch as it ships, one frame after the other.

Each sampled frame goes through MTCNN by itself, its largest face is cut out by facenet-pytorch's
own function, and InceptionResnetV1 embeds the crops in float32, 32 at a time. The video is decoded
once, by OpenCV.
"""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from looked import Looked
from safetensors.torch import load_file

BATCH = 32


class Stock:
    """MTCNN and InceptionResnetV1.

    Parameters
    ----------
    weights : Path
        Of InceptionResnetV1, as `affectflow.backbones.weights.prepare` wrote them.
    min_face_size : int
        MTCNN's; it ships with 20.
    device : str
    """

    def __init__(self, weights: Path, min_face_size: int, device: str) -> None:
        self.mtcnn = MTCNN(min_face_size=min_face_size, device=torch.device(device)).eval()
        self.network = InceptionResnetV1(pretrained=None).eval().to(device)
        self.network.load_state_dict(load_file(weights), strict=False)
        self.device = device

    def look(self, video: Path, chosen: np.ndarray) -> tuple[Looked, dict[str, float]]:
        """Decode, detect and embed the chosen frames (n,) of a video; return seconds, too."""
        began = time.perf_counter()
        frames = _decode(video, chosen)
        decoded = time.perf_counter()
        found = [self._detect(frame) for frame in frames]
        detected = time.perf_counter()
        embedding = self._embed(frames, [boxes for boxes, _ in found])
        seconds = {
            "decode": decoded - began,
            "detect": detected - decoded,
            "embed": time.perf_counter() - detected,
        }
        boxes, landmarks = ([one[kind] for one in found] for kind in (0, 1))
        return Looked(boxes, landmarks, embedding), seconds

    def _detect(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        boxes, _, landmarks = self.mtcnn.detect(frame, landmarks=True)
        if boxes is None:
            return np.zeros((0, 4)), np.zeros((0, 5, 2))
        return np.asarray(boxes, float), np.asarray(landmarks, float)

    @torch.inference_mode()
    def _embed(self, frames: list[np.ndarray], boxes: list[np.ndarray]) -> np.ndarray:
        embedding = np.full((len(frames), 512), np.nan, np.float32)
        seen = [i for i, own in enumerate(boxes) if len(own)]
        for start in range(0, len(seen), BATCH):
            part = seen[start : start + BATCH]
            crops = [self.mtcnn.extract(frames[i], boxes[i][:1], None) for i in part]
            batch = torch.stack(crops).to(self.device)
            embedding[part] = self.network(batch).cpu().numpy()
        return embedding


def _decode(video: Path, chosen: np.ndarray) -> list[np.ndarray]:
    capture, wanted, frames = cv2.VideoCapture(str(video)), set(chosen.tolist()), []
    for place in range(int(chosen.max()) + 1):
        there, frame = capture.read()
        if not there:
            raise RuntimeError(
                f"{video}: OpenCV reads {place} frames, {int(chosen.max()) + 1} asked"
            )
        if place in wanted:
            frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    capture.release()
    return frames
