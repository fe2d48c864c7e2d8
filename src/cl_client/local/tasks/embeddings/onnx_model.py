"""ONNX models on ONNX Runtime: loaded once per process, with float32 input and clear errors."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

# From 1.29 on, its import would leave a device ID in the user's cache, for reports to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from cl_client.local.tasks.contract import TaskFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from onnxruntime import NodeArg

_FLOAT32: Final = "tensor(float)"
_FATAL: Final = 4
"""ONNX Runtime's log level; it also raises what it would log as an error."""


class OnnxModel:
    """A model with a single float32 input.

    Args:
        path: The ``.onnx`` file.
        content: Its content; None to read the file.

    Attributes:
        input_shape: Shape of its input; None for a dimension of any size.

    Raises:
        TaskFailedError: The file is missing, damaged, or a model with other inputs.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self._file_name = path.name
        options = onnxruntime.SessionOptions()
        # By default there is one worker per core: more threads would only compete with the other workers.
        options.intra_op_num_threads = 1
        options.log_severity_level = _FATAL
        try:
            source = path if content is None else content
            self._session = onnxruntime.InferenceSession(source, options, ["CPUExecutionProvider"])
        except Exception as exc:  # ONNX Runtime's errors have no common base class
            reason = str(exc).replace(str(path), path.name)
            raise TaskFailedError(f"{path.name}: not a valid ONNX model ({reason})") from exc
        self._input = self._only_input()
        self.input_shape: Final = tuple(size if isinstance(size, int) else None for size in self._input.shape)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model.

        Args:
            batch: The input, of the shape `input_shape`.

        Returns:
            The first output, as float32.
        """
        return next(iter(self.run_all(batch).values()))

    def run_all(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run the model.

        Args:
            batch: The input, of the shape `input_shape`.

        Returns:
            The outputs by name, as float32.

        Raises:
            TaskFailedError: The batch has another shape than the model's input, or the model cannot be run.
        """
        shape: tuple[int, ...] = batch.shape
        if not self._accepts(shape):
            raise TaskFailedError(
                f"{self._file_name}: the model's input is {_shown(self.input_shape)}, "
                f"but this task needs {_shown(shape)}: this is not a model for this task"
            )
        try:
            outputs = self._session.run(None, {self._input.name: batch})
        except Exception as exc:
            raise TaskFailedError(f"{self._file_name}: the model cannot be run ({exc})") from exc
        names = [node.name for node in self._session.get_outputs()]
        return {
            name: output.astype(np.float32, copy=False) for name, output in zip(names, outputs, strict=True)
        }

    def _accepts(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.input_shape) and all(
            wanted in {None, given} for given, wanted in zip(shape, self.input_shape, strict=True)
        )

    def _only_input(self) -> NodeArg:
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != _FLOAT32:
            kinds = ", ".join(f"{node.name}: {node.type}" for node in inputs) or "none"
            raise TaskFailedError(
                f"{self._file_name}: the model must have a single float32 input; it has {kinds}"
            )
        return inputs[0]


@cache
def load(path: Path) -> OnnxModel:
    """Load a model, once per process.

    Args:
        path: The ``.onnx`` file.

    Returns:
        The loaded model.

    Raises:
        TaskFailedError: The model cannot be loaded, see `OnnxModel`; the next call tries again.
    """
    return OnnxModel(path)


def _shown(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)
