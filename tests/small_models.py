"""Small ONNX models with the inputs and outputs of the public ones, for tests to put in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SIDE: Final = 224
"""Pixels, of the square that the models of whole pictures read."""


def save_model(
    path: Path,
    nodes: Sequence[NodeProto],
    weights: dict[str, NDArray[np.float32 | np.int64]] | None = None,
    shape: Sequence[int | str] = ("batch", 3, SIDE, SIDE),
    inputs: tuple[str, ...] = ("pixel_values",),
) -> None:
    """Write a model whose output is called ``output``."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())


def save_seeing_model(path: Path) -> None:
    """The model gives the numbers that it is given, so that a test sees them."""
    save_model(path, [helper.make_node("Flatten", ["pixel_values"], ["output"])])


def random_weights(rows: int, columns: int) -> NDArray[np.float32]:
    return np.random.default_rng(7).standard_normal((rows, columns)).astype(np.float32)


def save_clip_model(path: Path) -> None:
    """(batch, 3, 224, 224) to (batch, 512): how bright the colours are in each of 16 parts."""
    side = SIDE // 4
    nodes = [
        helper.make_node(
            "AveragePool", ["pixel_values"], ["parts"], kernel_shape=[side, side], strides=[side, side]
        ),
        helper.make_node("Flatten", ["parts"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["output"]),
    ]
    save_model(path, nodes, {"weights": random_weights(48, 512)})


def save_dino_model(path: Path) -> None:
    """(batch, 3, 224, 224) to (batch, 257, 384): a token for the picture, then one for each 14 x 14 patch."""
    nodes = [
        helper.make_node(
            "AveragePool", ["pixel_values"], ["patches"], kernel_shape=[14, 14], strides=[14, 14]
        ),
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["whole"]),
        helper.make_node("Reshape", ["patches", "columns"], ["patch_columns"]),
        helper.make_node("Reshape", ["whole", "columns"], ["whole_column"]),
        helper.make_node("Concat", ["whole_column", "patch_columns"], ["joined"], axis=2),
        helper.make_node("Transpose", ["joined"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["tokens", "weights"], ["output"]),
    ]
    columns = np.array([0, 3, -1], dtype=np.int64)
    save_model(path, nodes, {"columns": columns, "weights": random_weights(3, 384)})


def save_face_model(path: Path) -> None:
    """(batch, 112, 112, 3) to (batch, 512): how bright the colours are in each of 16 parts."""
    nodes = [
        helper.make_node("Sub", ["face", "grey"], ["centred"]),
        helper.make_node("Transpose", ["centred"], ["colours"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["colours"], ["parts"], kernel_shape=[28, 28], strides=[28, 28]),
        helper.make_node("Flatten", ["parts"], ["row"]),
        helper.make_node("MatMul", ["row", "weights"], ["output"]),
    ]
    weights = {"grey": np.array([0.5], dtype=np.float32), "weights": random_weights(48, 512)}
    save_model(path, nodes, {**weights}, ("batch", 112, 112, 3), inputs=("face",))


def save_small_models(folder: Path) -> dict[str, Path]:
    """One for each model that a task cannot work without, by the names that a local server takes."""
    saving = {"mobileclip": save_clip_model, "dinov2": save_dino_model, "arcface": save_face_model}
    for name, save in saving.items():
        save(folder / f"{name}.onnx")
    return {name: folder / f"{name}.onnx" for name in saving}
