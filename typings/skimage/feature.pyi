import numpy as np
from numpy.typing import NDArray

class Cascade:
    def __init__(self, xml_file: str, eps: float = ...) -> None: ...
    def detect_multi_scale(
        self,
        img: NDArray[np.uint8],
        scale_factor: float,
        step_ratio: float,
        min_size: tuple[int, int],
        max_size: tuple[int, int],
        min_neighbor_number: int = ...,
        intersection_score_threshold: float = ...,
    ) -> list[dict[str, int]]: ...
