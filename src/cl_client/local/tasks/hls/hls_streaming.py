"""Conversion of a video to HTTP Live Streaming (HLS), in several qualities for players to switch between."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from cl_client.local.tasks.contract import TaskFailedError
from cl_client.local.tasks.files import require_content
from cl_client.local.tasks.hls.hls_output import (
    MASTER_PLAYLIST,
    HlsOutput,
    Rendition,
)
from cl_client.local.tasks.hls.original import fits_unchanged, remux
from cl_client.local.tasks.hls.source import examine, read_frames
from cl_client.local.tasks.images.opening import is_picture
from cl_client.local.tasks.videos.deinterlacing import deinterlaced

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from cl_client.local.tasks.contract import TaskContext
    from cl_client.local.tasks.hls.source import VideoFacts
    from cl_client.models import JSONObject
    from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant

_ORIGINAL: Final = "orig"
_ORIGINAL_CRF: Final = 18
"""x264's constant rate factor that is "visually lossless or nearly so" (FFmpeg's H.264 guide)."""


def run(context: TaskContext[HlsStreamingParams]) -> JSONObject:
    """Write every requested variant, even one that is larger than the video.

    The original is split without encoding it again if players can play it and nothing of it is hidden.
    Variants with the same height and bitrate are written once. The output folder is created atomically.

    Args:
        context: The job.

    Returns:
        The ``task_output``: ``master_playlist``, an absolute path; ``variants_generated``;
        ``total_segments``, without those of the original; ``include_original``.

    Raises:
        TaskFailedError: The file is not a video, is damaged, truncated or too long; a variant is larger than
            H.264 allows; or the files cannot be written.
    """
    file, params = context.input_file, context.params
    require_content(file)
    if is_picture(file):
        raise TaskFailedError(f"{file.name}: this is an image, not a video")
    facts = examine(file, context.warn)
    if facts.lacks_sound:
        context.warn("the audio is left out, as its codec is not supported")
    variants = {_name(variant): _variant_rendition(facts, variant) for variant in params.variants}
    with _folder_written_whole(context.output_file) as folder:
        with ExitStack() as stack:
            wanted = HlsOutput(file, facts, folder, list(variants.values()), master=MASTER_PLAYLIST)
            outputs = [stack.enter_context(wanted)]
            if params.include_original and not _is_copied(context, facts, folder):
                original = HlsOutput(file, facts, folder, [_original_rendition(facts)])
                outputs.append(stack.enter_context(original))
            frames = read_frames(file, facts, lambda part: context.report(int(99 * part)), context.warn)
            for frame in deinterlaced(frames):
                for output in outputs:
                    output.write(frame)
        total_segments = sum(len([*folder.glob(f"adaptive-{name}-*.ts")]) for name in variants)
    return {
        "master_playlist": str(context.output_file.absolute() / MASTER_PLAYLIST),
        "variants_generated": len(variants),
        "total_segments": total_segments,
        "include_original": params.include_original,
    }


def _is_copied(context: TaskContext[HlsStreamingParams], facts: VideoFacts, folder: Path) -> bool:
    if not fits_unchanged(facts):
        return False
    if facts.hides_content:  # MPEG-TS cannot hide a part
        context.warn("the original is encoded again, without the parts that the file's edit list hides")
        return False
    return remux(context.input_file, facts, folder, _ORIGINAL)


def _name(variant: HlsVariant) -> str:
    return f"{variant.resolution}p-{variant.bitrate}"


def _variant_rendition(facts: VideoFacts, variant: HlsVariant) -> Rendition:
    """Derive the width from the video's aspect ratio; 4:2:0 needs even numbers."""
    height = _even(variant.resolution)
    kbit = variant.bitrate
    return Rendition(
        name=_name(variant),
        width=max(2, 2 * round(height * facts.width / facts.height / 2)),
        height=height,
        # Apple's HLS Authoring Specification: the peak of a segment is at most twice the average.
        rate_control={"b": f"{kbit}k", "maxrate": f"{kbit * 3 // 2}k", "bufsize": f"{kbit * 2}k"},
    )


def _original_rendition(facts: VideoFacts) -> Rendition:
    return Rendition(
        name=_ORIGINAL,
        width=_even(facts.width),
        height=_even(facts.height),
        rate_control={"crf": str(_ORIGINAL_CRF)},
    )


def _even(pixels: int) -> int:
    return max(2, pixels - pixels % 2)


@contextmanager
def _folder_written_whole(target: Path) -> Generator[Path]:
    """Yield a temporary folder that replaces ``target`` when the block ends without an error."""
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        partial.mkdir()
        yield partial
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
    except OSError as exc:
        raise TaskFailedError(f"{target.name}: cannot be written: {exc.strerror}") from exc
    finally:
        shutil.rmtree(partial, ignore_errors=True)
