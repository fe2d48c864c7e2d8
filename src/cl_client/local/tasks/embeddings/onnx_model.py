"""ONNX models on ONNX Runtime: loaded once a process, run on float32 numbers, with clear errors."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import onnxruntime

from cl_client.local.tasks.contract import TaskFailedError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from onnxruntime import NodeArg

_FLOAT32: Final = "tensor(float)"
_FATAL: Final = 4
"""ONNX Runtime's log level; what it would log as an error, it raises, too."""


class OnnxModel:
    """A model with one input of float32 numbers, whose first output is of interest.

    Args:
        path: The ``.onnx`` file.

    Attributes:
        input_shape: Of its input; None for a size that is free.

    Raises:
        TaskFailedError: The file is missing, damaged, or a model of another kind.
    """

    def __init__(self, path: Path) -> None:
        self._file_name = path.name
        options = onnxruntime.SessionOptions()
        # One worker a core is the rule: more threads would only take turns with the other workers'.
        options.intra_op_num_threads = 1
        options.log_severity_level = _FATAL
        try:
            self._session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        except Exception as exc:  # its errors have no base of their own
            reason = str(exc).replace(str(path), path.name)
            raise TaskFailedError(f"{path.name}: not a usable ONNX model ({reason})") from exc
        self._input = self._only_input()
        self.input_shape: Final = tuple(size if isinstance(size, int) else None for size in self._input.shape)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the model; its first output.

        Args:
            batch: Of the shape that the model's input has.

        Raises:
            TaskFailedError: The batch does not fit the model, or the model cannot be run.
        """
        shape: tuple[int, ...] = batch.shape
        if not self._accepts(shape):
            raise TaskFailedError(
                f"{self._file_name}: the model's input is {_shown(self.input_shape)}, "
                f"but this task gives {_shown(shape)}: it is a model for something else"
            )
        try:
            output = self._session.run(None, {self._input.name: batch})[0]
        except Exception as exc:
            raise TaskFailedError(f"{self._file_name}: the model cannot be run ({exc})") from exc
        return output.astype(np.float32, copy=False)

    def _accepts(self, shape: tuple[int, ...]) -> bool:
        return len(shape) == len(self.input_shape) and all(
            wanted in {None, given} for given, wanted in zip(shape, self.input_shape, strict=True)
        )

    def _only_input(self) -> NodeArg:
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != _FLOAT32:
            kinds = ", ".join(f"{node.name}: {node.type}" for node in inputs) or "none"
            raise TaskFailedError(
                f"{self._file_name}: the model must have one input of float32 numbers; it has {kinds}"
            )
        return inputs[0]


@cache
def load(path: Path) -> OnnxModel:
    """The model in a file, loaded when the process first asks for it.

    Raises:
        TaskFailedError: As `OnnxModel` does; the next call tries again.
    """
    return OnnxModel(path)


def _shown(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape)
