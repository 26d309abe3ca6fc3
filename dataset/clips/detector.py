"""The field of a slide by a YOLO detector in ONNX format, for viewers that colour and motion do not suffice for.

Files of weights in PyTorch's format hold code that runs when they are read; they are refused. An ONNX file holds numbers
and a graph alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from videopath.core.errors import InputError
from videopath.core.files import sha256_file
from videopath.dataset.clips.field_box import FieldBox, thumbnails_in
from videopath.media.crop import Crop

_USUAL_SIDE = 640  # pixels, if the graph leaves it open
_LONGEST_INPUT = 2048  # pixels
_SURE = 0.25  # score of a box
_SAME = 0.45  # overlap of two boxes of one thing
_LOOKED_AT = 12  # frames
_LEAST_SHARE = 0.3  # of these frames that must show a field
_PADDING = 114  # grey level, as in training
_CODE_SUFFIXES = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".torchscript"}


def detect_field(weights: Path, pictures: Sequence[np.ndarray]) -> FieldBox:
    """Find the field of a case by a detector.

    Args:
        weights: A YOLO model in ONNX format with one input, [1,3,H,W] in [0, 1], and the usual output: [1, 4 + classes, N]
            (version 8 and later), [1, N, 5 + classes] (version 5), or [1, N, 6] (boxes after suppression).
        pictures: Small pictures of the whole frame, evenly spread over the case, uint8 [h,w,3].

    Returns:
        The field: the median of the surest box of each frame. Thumbnails are found by motion.

    Raises:
        InputError: The file is missing, holds code, is no such model, or finds no field.
    """
    session = load_detector(weights)
    chosen = [
        pictures[i] for i in np.unique(np.linspace(0, len(pictures) - 1, _LOOKED_AT).round().astype(int))
    ]
    boxes = [box for picture in chosen if (box := _surest(session, weights, picture)) is not None]
    if len(boxes) < max(1, _LEAST_SHARE * len(chosen)):
        raise InputError(
            f"{weights.name} found a field in only {len(boxes)} of {len(chosen)} frames of a case; "
            "use --field colour, or another model."
        )
    left, top, right, bottom = (float(value) for value in np.median(boxes, axis=0))
    crop: Crop = (left, top, right, bottom)
    return FieldBox(crop, thumbnails_in(pictures, crop), f"{weights.name} {sha256_file(weights)[:16]}")


def load_detector(weights: Path) -> Any:
    """Load a detector; a build can call this first, so that it stops before any work if the file cannot be used.

    Raises:
        InputError: The file is missing, holds code, or is no model of pictures in ONNX format.
    """
    if weights.suffix.lower() in _CODE_SUFFIXES:
        raise InputError(
            f"{weights.name} is not in ONNX format: files in PyTorch's format hold code; export the model to ONNX."
        )
    if not weights.is_file():
        raise InputError(f"There is no model {weights}: give a YOLO model in ONNX format, or --field colour.")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        raise InputError(f"{weights.name} is no ONNX model that can be loaded.") from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] not in (3, "3"):
        shapes = "; ".join(str(one.shape) for one in inputs)
        raise InputError(
            f"{weights.name} takes {shapes or 'no input'}: a YOLO model takes one picture, [1, 3, H, W]."
        )
    return session


def _surest(session: Any, weights: Path, picture: np.ndarray) -> Crop | None:
    """Return the surest box in a picture, as shares of it; None if there is none."""
    entry = session.get_inputs()[0]
    height, width = (
        side if isinstance(side, int) and 0 < side <= _LONGEST_INPUT else _USUAL_SIDE
        for side in entry.shape[2:]
    )
    scale = min(height / picture.shape[0], width / picture.shape[1])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    padded = np.full((height, width, 3), _PADDING, np.uint8)
    padded[y : y + size[1], x : x + size[0]] = cv2.resize(picture, size)
    kind = np.float16 if entry.type == "tensor(float16)" else np.float32
    tensor = (padded.transpose(2, 0, 1)[None] / 255).astype(kind)
    try:
        output = session.run(None, {entry.name: tensor})[0]
    except Exception as error:  # onnxruntime's errors have no common class
        raise InputError(f"{weights.name} cannot be run on a picture of {width}×{height} pixels.") from error
    boxes, scores = _decoded(np.asarray(output, np.float32), weights)
    if not len(boxes):
        return None
    corners = boxes - np.array([x, y, x, y], np.float32)
    shares = np.clip(corners / np.array([*size, *size], np.float32), 0, 1)
    listed = [[float(a), float(b), float(c - a), float(d - b)] for a, b, c, d in boxes]
    kept = np.asarray(cv2.dnn.NMSBoxes(listed, scores.tolist(), _SURE, _SAME)).ravel()
    for number in kept:
        left, top, right, bottom = (float(value) for value in shares[int(number)])
        if right > left and bottom > top:
            return left, top, right, bottom
    return None


def _decoded(output: np.ndarray, weights: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return corners in pixels of the input, float32 [n,4], and scores [n], of the usual outputs."""
    if (
        output.ndim != 3
        or output.shape[0] != 1
        or max(output.shape[1:]) < 5
        or not (output.shape[2] == 6 or min(output.shape[1:]) >= 5)
    ):
        raise InputError(
            f"{weights.name} returns {list(output.shape)}: a YOLO model returns [1, 4 + classes, N], "
            "[1, N, 5 + classes] or [1, N, 6]."
        )
    rows = output[0]
    if rows.shape[1] == 6 and rows.shape[0] <= 1000 and (rows[:, 2:4] >= rows[:, :2]).all():
        corners, scores = rows[:, :4], rows[:, 4]  # after suppression: left, top, right, bottom, score, class
    else:
        if (
            rows.shape[0] < rows.shape[1]
        ):  # version 8: attributes by boxes, without a score of its own for the box
            rows = rows.T
            scores = rows[:, 4:].max(axis=1)
        else:  # version 5
            scores = rows[:, 4] * (rows[:, 5:].max(axis=1) if rows.shape[1] > 5 else 1.0)
        centres, half = rows[:, :2], rows[:, 2:4] / 2
        corners = np.concatenate([centres - half, centres + half], axis=1)
    usable = np.isfinite(corners).all(axis=1) & np.isfinite(scores) & (scores >= _SURE)
    return corners[usable], scores[usable]
