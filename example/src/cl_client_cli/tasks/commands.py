"""The commands of the nine tasks: each has its own parameters, and all share those of `RunOptions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - read at run time, to parse arguments
from pathlib import Path  # noqa: TC003 - read at run time, to parse arguments
from typing import Annotated

from cyclopts import App, Group, Parameter

from cl_client import HashAlgorithm, ImageFormat  # noqa: TC001 - read at run time, to parse arguments
from cl_client_cli.frame.options import DEFAULT_RUN, Flag, RunOptions
from cl_client_cli.tasks.file_arguments import FileArgument

_TASK = Group("Task", sort_key=10)
_FILES_HELP = (
    "Files, patterns such as '*.jpg', folders, @list.txt with one name per line, or - for standard input. "
    "Links to folders are followed, and each file is processed once. Results of earlier commands are skipped "
    "if their source is in the same folder."
)


_Files = Annotated[FileArgument, Parameter(help=_FILES_HELP)]


def _group(name: str, summary: str, example: str) -> App:
    return App(
        name=name,
        help=f"{summary}\n\nExample: `cl-client {name} {example}`",
        default_parameter=Parameter(negative_iterable=()),
        group_parameters=_TASK,
    )


clip_embedding = _group("clip-embedding", "Embed images with CLIP.", "embed *.jpg -d embeddings/")
dino_embedding = _group("dino-embedding", "Embed images with DINOv2.", "embed *.jpg -d embeddings/")
exif = _group("exif", "Read the metadata of images.", "extract photo.jpg")
face_detection = _group("face-detection", "Find faces in images.", "detect party.jpg")
face_embedding = _group("face-embedding", "Embed images of faces.", "embed face.jpg")
hash_ = _group("hash", "Hash files of any kind.", "compute photo.jpg")
hls_streaming = _group("hls-streaming", "Turn videos into HLS streams.", "generate-manifest film.mp4")
image_conversion = _group(
    "image-conversion", "Convert images to other formats.", "convert a.heic --format jpg"
)
media_thumbnail = _group("media-thumbnail", "Make thumbnails of photos and videos.", "generate photos/")


@clip_embedding.command(name="embed")
def embed_clip(*files: _Files, normalize: bool = True, options: RunOptions = DEFAULT_RUN) -> int:
    """Compute CLIP embeddings of images: vectors of 512 numbers, close for similar content.

    Example: `cl-client clip-embedding embed *.jpg --output-dir embeddings/`

    Args:
        files: The images.
        normalize: Scale the vectors to unit length.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    return _run("clip_embedding", files, {"normalize": normalize}, options)


@dino_embedding.command(name="embed")
def embed_dino(*files: _Files, normalize: bool = True, options: RunOptions = DEFAULT_RUN) -> int:
    """Compute DINOv2 embeddings of images: vectors of 384 numbers, close for images that look alike.

    Example: `cl-client dino-embedding embed photos/ --recursive --output-dir embeddings/`

    Args:
        files: The images.
        normalize: Scale the vectors to unit length.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    return _run("dino_embedding", files, {"normalize": normalize}, options)


@face_embedding.command(name="embed")
def embed_faces(*files: _Files, normalize: bool = True, options: RunOptions = DEFAULT_RUN) -> int:
    """Compute embeddings of faces: vectors of 512 numbers, close for the same person.

    Example: `cl-client face-embedding embed faces/*.png --output-dir embeddings/`

    Args:
        files: The images, each of one face, as face-detection crops them.
        normalize: Scale the vectors to unit length.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    return _run("face_embedding", files, {"normalize": normalize}, options)


@exif.command
def extract(
    *files: _Files,
    tag: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    options: RunOptions = DEFAULT_RUN,
) -> int:
    """Read all metadata of images and videos, such as camera, date and place.

    Example: `cl-client exif extract photo.jpg --tag Make --tag Model --json`

    Args:
        files: The images.
        tag: Tag to read; can be repeated. By default all tags.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    return _run("exif", files, {"tags": tag}, options)


@face_detection.command
def detect(
    *files: _Files,
    confidence_threshold: float = 0.7,
    nms_threshold: float = 0.4,
    annotate: Path | None = None,
    options: RunOptions = DEFAULT_RUN,
) -> int:
    """Find the faces in images.

    Example: `cl-client face-detection detect party.jpg --annotate marked.jpg`

    Args:
        files: The images.
        confidence_threshold: Minimum confidence of a face, 0 to 1.
        nms_threshold: How much two boxes may overlap, 0 to 1; above that, the one with less confidence is
            dropped.
        annotate: Write a copy of the image with the faces marked to this file; for several images, to
            this folder.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    from cl_client_cli.tasks.face_detection import run_face_detection

    values = {"confidence_threshold": confidence_threshold, "nms_threshold": nms_threshold}
    return run_face_detection([*map(str, files)], values, options, annotate)


@hash_.command
def compute(*files: _Files, algorithm: HashAlgorithm = "sha512", options: RunOptions = DEFAULT_RUN) -> int:
    """Compute the hashes of files of any kind.

    sha512 covers the decoded pixels of an image, the key frames of a video, and the bytes of any other
    file: copies of a photo that differ in their metadata only have one hash, which is not the one of
    `sha512sum`. md5 covers the bytes of every file, like `md5sum`.

    Example: `cl-client hash compute photo.jpg --algorithm md5`

    Args:
        files: The files.
        algorithm: Hash algorithm.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    return _run("hash", files, {"algorithm": algorithm}, options)


@hls_streaming.command
def generate_manifest(
    *files: _Files,
    variant: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    include_original: Flag = False,
    options: RunOptions = DEFAULT_RUN,
) -> int:
    """Turn videos into HLS streams for browsers: one folder per video, with playlists and segments.

    Example: `cl-client hls-streaming generate-manifest film.mp4 --variant 720:3500 --variant 480:1500`

    Args:
        files: The videos.
        variant: Quality of the stream as HEIGHT:KBITS; can be repeated. By default 720:3500 and 480:1500.
        include_original: Add a variant in the video's original quality.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    from cl_client_cli.tasks.hls_variants import parse_variants

    variants = {"variants": parse_variants(variant)} if variant else {}
    return _run("hls_streaming", files, {**variants, "include_original": include_original}, options)


@image_conversion.command
def convert(
    *files: _Files,
    format: ImageFormat,  # noqa: A002 - the option's name
    quality: int | None = None,
    options: RunOptions = DEFAULT_RUN,
) -> int:
    """Convert images to another format; by default the results go into the current folder.

    Example: `cl-client image-conversion convert photo.heic --format jpg --quality 90`

    Args:
        files: The images.
        format: Format of the results.
        quality: Quality, 1 to 100, for formats that have one; by default the server's default, 85.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    return _run("image_conversion", files, {"format": format, "quality": quality}, options)


@media_thumbnail.command
def generate(
    *files: _Files,
    width: int | None = None,
    height: int | None = None,
    maintain_aspect_ratio: bool = True,
    options: RunOptions = DEFAULT_RUN,
) -> int:
    """Make JPEG thumbnails of images and videos; by default they go into the current folder.

    Example: `cl-client media-thumbnail generate photos/ --width 320 --output-dir thumbnails/`

    Args:
        files: The images and videos.
        width: Width in pixels; by default it follows from the height, or is the server's default.
        height: Height in pixels; by default it follows from the width, or is the server's default.
        maintain_aspect_ratio: Fit into width and height; otherwise stretch to exactly that size.
        options: The options that all task commands share.

    Returns:
        The exit code.
    """
    values = {"width": width, "height": height, "maintain_aspect_ratio": maintain_aspect_ratio}
    return _run("media_thumbnail", files, values, options)


def _run(task: str, files: Sequence[str | Path], values: Mapping[str, object], options: RunOptions) -> int:
    from cl_client_cli.tasks.run import run_plugin

    return run_plugin(task, [*map(str, files)], values, options)
