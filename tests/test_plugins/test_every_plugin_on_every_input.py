"""Every plugin on every kind of file that people have, all at once on one server."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import wave
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import httpx
import numpy as np
import pytest
from PIL import Image, ImageSequence
from skimage import data

from cl_client import InvalidParameterError
from cl_client.local import LocalServer
from cl_client.local.samples import draw_drawing, draw_photo
from cl_client.models import JobResponse, TaskParams
from cl_client.plugins.hls_streaming import HlsStreamingParams, HlsVariant
from cl_client.plugins.image_conversion import ImageConversionParams
from cl_client.plugins.media_thumbnail import MediaThumbnailParams
from expected_hashes import expected_sha512
from hls_playback import Playlist
from patience import SECONDS
from pictures import without_pixels
from small_models import save_small_models
from video_clips import Clip, steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from cl_client import ComputeClient
    from cl_client.plugins.embedding import EmbeddingClient, EmbeddingOutput

PHOTO = (256, 384)
SCREEN_TIMES = [*(index / 8 for index in range(16)), *(2 + index / 30 for index in range(30)), 3.5, 3.9, 4.0]
"""When the frames of a recording of a screen are shown, in seconds."""


def draw_scan(path: Path) -> None:
    """Grey of 16 bits, from black on the left to white on the right."""
    row = np.linspace(0, 0xFFFF, 160).astype(np.uint16)
    Image.fromarray(np.tile(row, (120, 1))).save(path)


def draw_blinking(path: Path) -> None:
    frames = [Image.new("RGB", (80, 60), colour) for colour in ("red", "white", "blue")]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0)


def record_silence(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(32_000))


def cut_short(path: Path) -> None:
    """As a download leaves it that broke off."""
    draw_photo(path, PHOTO)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def cut_before_its_pixels(path: Path) -> None:
    draw_photo(path, PHOTO)
    path.write_bytes(without_pixels(path.read_bytes()))


INPUTS: Mapping[str, Callable[[Path], object]] = {
    "rotated.jpg": lambda path: draw_photo(path, PHOTO, orientation=6),
    "transparent.png": lambda path: draw_drawing(path, (200, 150)),
    "16-bit.png": draw_scan,
    "photo.heic": lambda path: draw_photo(path, PHOTO),
    "photo.webp": lambda path: draw_photo(path, PHOTO),
    "animated.gif": draw_blinking,
    "face.jpg": lambda path: Image.fromarray(data.astronaut()).save(path),
    "no face.jpg": lambda path: Image.fromarray(data.coffee()).save(path),
    "ten seconds.mp4": lambda path: Clip(times=steady(10), size=(160, 120)).write(path),
    "vertical phone.mp4": lambda path: Clip(times=steady(2), size=(160, 120), rotation=90).write(path),
    "variable frame rate.mp4": lambda path: Clip(times=SCREEN_TIMES, size=(160, 120)).write(path),
    "sound.wav": record_silence,
    "cut.jpg": cut_short,
    "corrupt.jpg": cut_before_its_pixels,
    "zero bytes.jpg": lambda path: path.touch(),
}

Size: TypeAlias = tuple[int, int]
ExifFact: TypeAlias = tuple[str | None, tuple[int | None, int | None], int | None]
"""The camera's maker, the size as stored, the orientation."""


@dataclass(frozen=True)
class Failed:
    """A job that failed, and the server's words or how they begin."""

    words: str


@dataclass(frozen=True)
class Refused:
    """What the client did not send, and its words."""

    words: str


def picture(
    size: Size, *, exif: ExifFact, thumbnail: Size, mode: str = "RGB", frames: int = 1, faces: object = ()
) -> dict[str, object]:
    """What the plugins make of a picture of this size, once it is upright."""
    return {
        "clip_embedding": 512,
        "dino_embedding": 384,
        "exif": exif,
        "face_detection": ("yunet", size, faces),
        "face_embedding": 512,
        "hash": ("image", "pixels", True),
        "hls_streaming": Failed("this is an image, not a video"),
        "image_conversion": (size, mode, frames),
        "media_thumbnail": ("image", thumbnail),
    }


def video(*, stream: object, thumbnail: Size, orientation: int = 1) -> dict[str, object]:
    """What the plugins make of a video whose frames are stored with 160 x 120 pixels."""
    return {
        **no_picture("a video"),
        "exif": by_exiftool("video", (None, (160, 120), orientation)),
        "hash": ("video", "key_frames", True),
        "hls_streaming": stream,
        "media_thumbnail": ("video", thumbnail),
    }


def no_picture(what: str) -> dict[str, object]:
    tasks = ("clip_embedding", "dino_embedding", "face_detection", "face_embedding", "image_conversion")
    return dict.fromkeys(tasks, Failed(f"not an image in a supported format ({what})"))


def by_exiftool(what: str, fact: ExifFact) -> object:
    remedy = f"{what} metadata needs ExifTool, which is not installed on the server"
    return fact if shutil.which("exiftool") else Failed(remedy)


def played(size: Size, times: list[float], seconds: float) -> object:
    """What a player shows of a stream: the size, when each frame, how long, and for how long with sound."""
    return size, pytest.approx(times, abs=0.002), *[pytest.approx(seconds, abs=0.15)] * 2


MADE_OF: Mapping[str, dict[str, object]] = {
    "rotated.jpg": picture(PHOTO, exif=("Canon", (384, 256), 6), thumbnail=(64, 96)),
    "transparent.png": picture((200, 150), exif=(None, (200, 150), None), thumbnail=(96, 72), mode="RGBA"),
    "16-bit.png": picture((160, 120), exif=(None, (160, 120), None), thumbnail=(96, 72), mode="I;16"),
    "photo.heic": picture(PHOTO, exif=("Canon", PHOTO, 1), thumbnail=(64, 96)),
    "photo.webp": picture(PHOTO, exif=("Canon", PHOTO, 1), thumbnail=(64, 96)),
    "animated.gif": picture((80, 60), exif=(None, (80, 60), None), thumbnail=(80, 60), frames=3),
    "face.jpg": picture(
        (512, 512),
        exif=(None, (512, 512), None),
        thumbnail=(96, 96),
        faces=((pytest.approx((178, 63, 268, 176), abs=25), (112, 112)),),
    ),
    "no face.jpg": picture((600, 400), exif=(None, (600, 400), None), thumbnail=(96, 64)),
    "ten seconds.mp4": video(stream=played((120, 90), steady(10), 10), thumbnail=(96, 72)),
    "vertical phone.mp4": video(stream=played((68, 90), steady(2), 2), thumbnail=(72, 96), orientation=6),
    "variable frame rate.mp4": video(stream=played((120, 90), SCREEN_TIMES, 4.1), thumbnail=(96, 72)),
    "sound.wav": {
        **no_picture("audio"),
        "exif": by_exiftool("audio", (None, (None, None), None)),
        "hash": ("audio", "bytes", True),
        "hls_streaming": Failed("the file has only audio, no video"),
        "media_thumbnail": Failed("the file has only audio, no video"),
    },
    "cut.jpg": picture(PHOTO, exif=("Canon", PHOTO, 1), thumbnail=(64, 96)),
    "corrupt.jpg": {
        **dict.fromkeys(no_picture(""), Failed("the image is truncated (")),
        "exif": ("Canon", PHOTO, 1),
        "hash": ("image", "pixels", True),
        "hls_streaming": Failed("this is an image, not a video"),
        "media_thumbnail": Failed("the image is truncated ("),
    },
    "zero bytes.jpg": dict.fromkeys(
        picture((0, 0), exif=(None, (0, 0), None), thumbnail=(0, 0)),
        Refused("the file is empty, there is nothing to process"),
    ),
}


@dataclass(frozen=True)
class Completed:
    """A job that has completed, and a folder for its files."""

    client: ComputeClient
    job: JobResponse
    source: Path
    folder: Path


class Plugin(NamedTuple):
    """How a plugin is run, and what is looked at of what it made."""

    look: Callable[[Completed], Awaitable[object]]
    params: TaskParams | None = None


async def load_embedding(done: Completed) -> NDArray[np.float32]:
    plugin = done.client.plugin(done.job.task_type)
    return await cast("EmbeddingClient[EmbeddingOutput]", cast("object", plugin)).load(done.job)


async def look_at_exif(done: Completed) -> ExifFact:
    output = done.client.exif.output(done.job)
    return output.make, (output.image_width, output.image_height), output.orientation


async def look_at_faces(done: Completed) -> object:
    output = done.client.face_detection.output(done.job)
    crops = await done.client.face_detection.download_crops(done.job, done.folder)
    sizes = [look_at_picture(crop.read_bytes())[0] for crop in crops if crop is not None]
    return output.engine, output.image_size, tuple(zip(output.pixel_boxes, sizes, strict=True))


async def look_at_hash(done: Completed) -> tuple[str | None, str | None, bool]:
    result = await done.client.hash.load(done.job)
    expected = await asyncio.to_thread(expected_sha512, done.source, result.algorithm)
    return result.media_type, result.hashed, result.hash_value == expected


async def look_at_stream(done: Completed) -> object:
    master = await done.client.hls_streaming.download(done.job, done.folder)
    stream = await asyncio.to_thread(Playlist, master.with_name("adaptive-90p-100.m3u8"))
    return stream.size, stream.times, stream.duration, stream.sound_seconds


async def look_at_conversion(done: Completed) -> object:
    return look_at_picture(await done.client.image_conversion.read(done.job))


async def look_at_thumbnail(done: Completed) -> tuple[str | None, Size]:
    size, _, _ = look_at_picture(await done.client.media_thumbnail.read(done.job))
    return done.client.media_thumbnail.output(done.job).media_type, size


def look_at_picture(content: bytes) -> tuple[Size, str, int]:
    with Image.open(io.BytesIO(content)) as image:
        return image.size, image.mode, sum(1 for _ in ImageSequence.Iterator(image))


PLUGINS: Mapping[str, Plugin] = {
    "clip_embedding": Plugin(load_embedding),
    "dino_embedding": Plugin(load_embedding),
    "exif": Plugin(look_at_exif),
    "face_detection": Plugin(look_at_faces),
    "face_embedding": Plugin(load_embedding),
    "hash": Plugin(look_at_hash),
    "hls_streaming": Plugin(
        look_at_stream, HlsStreamingParams(variants=(HlsVariant(resolution=90, bitrate=100),))
    ),
    "image_conversion": Plugin(look_at_conversion, ImageConversionParams(format="png")),
    "media_thumbnail": Plugin(look_at_thumbnail, MediaThumbnailParams(width=96, height=96)),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalServer]:
    folder = tmp_path_factory.mktemp("models")
    with LocalServer(workers=2, models_dir=folder, models=save_small_models(folder)) as running:
        yield running


@dataclass(frozen=True)
class Outcome:
    """What became of one file with one plugin.

    Attributes:
        job: As it ended, or why there is none.
        seen: What was looked at of its result, or its failure.
    """

    job: JobResponse | Exception
    seen: object


Outcomes: TypeAlias = dict[str, dict[str, Outcome]]


@pytest.fixture(scope="module")
def outcomes(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """By file and task."""
    folder = tmp_path_factory.mktemp("files")
    for name, make in INPUTS.items():
        make(folder / name)
    return asyncio.run(run_all(server, [folder / name for name in INPUTS]))


async def run_all(server: LocalServer, files: list[Path]) -> Outcomes:
    found: Outcomes = {file.name: {} for file in files}

    async def run(client: ComputeClient, task: str, plugin: Plugin) -> None:
        jobs = client.plugin(task).map(files, plugin.params, concurrency=4, timeout=SECONDS)
        async with aclosing(jobs):
            async for file, job in jobs:
                folder = file.parent / task / file.stem
                found[file.name][task] = Outcome(job, await seen_of(client, job, file, folder, plugin))

    async with server.client() as client, asyncio.TaskGroup() as runs:
        for task, plugin in PLUGINS.items():
            runs.create_task(run(client, task, plugin))
    return found


async def seen_of(
    client: ComputeClient, job: JobResponse | Exception, file: Path, folder: Path, plugin: Plugin
) -> object:
    if isinstance(job, InvalidParameterError):
        return Refused(str(job))
    if isinstance(job, Exception):
        return job
    if job.status == "failed":
        return Failed(job.error_message or "")
    return await plugin.look(Completed(client, job, file, folder))


def agrees(seen: object, expected: object, name: str) -> bool:
    match expected:
        case Failed(words) | Refused(words):
            return (
                isinstance(seen, Failed | Refused)
                and type(seen) is type(expected)
                and seen.words.startswith(f"{name}: {words}")
            )
        case int():
            vector = cast("NDArray[np.float32]", seen)
            return vector.shape == (expected,) and abs(float(np.linalg.norm(vector)) - 1) < 1e-5
        case _:
            return seen == expected


@pytest.mark.parametrize("name", INPUTS)
def test_what_the_plugins_make_of_it(outcomes: Outcomes, name: str) -> None:
    expected, made = MADE_OF[name], outcomes[name]
    assert expected.keys() == made.keys() == PLUGINS.keys()
    wrong = {
        task: (made[task].seen, expected[task])
        for task in PLUGINS
        if not agrees(made[task].seen, expected[task], name)
    }
    assert not wrong


def test_a_failure_is_told_in_a_line_of_the_servers_words(outcomes: Outcomes, server: LocalServer) -> None:
    jobs = [outcome.job for made in outcomes.values() for outcome in made.values()]
    failed = [job for job in jobs if isinstance(job, JobResponse) and job.status == "failed"]
    assert len(failed) == sum(isinstance(fact, Failed) for row in MADE_OF.values() for fact in row.values())
    for job in failed:
        words = job.error_message or ""
        assert (job.raw_status, job.task_output, words.count("\n")) == ("error", None, 0)
        assert "Traceback" not in words
        assert f"{job.task_type} failed" not in words, "the task met what it does not know"
        assert str(server.data_dir) not in words


@pytest.mark.parametrize("task", ["clip_embedding", "dino_embedding", "face_embedding"])
def test_a_photo_is_the_same_to_a_model_in_any_format(outcomes: Outcomes, task: str) -> None:
    names = ("rotated.jpg", "photo.heic", "photo.webp", "face.jpg")
    jpeg, heic, webp, other = (cast("NDArray[np.float32]", outcomes[name][task].seen) for name in names)
    assert float(jpeg @ heic) > 0.99
    assert float(jpeg @ webp) > 0.99
    assert float(jpeg @ other) < 0.9


@pytest.mark.parametrize("task", PLUGINS)
async def test_zero_bytes_that_another_client_sends(server: LocalServer, task: str) -> None:
    params = PLUGINS[task].params
    async with server.client() as client, httpx.AsyncClient(base_url=server.base_url) as http:
        answer = await http.post(
            f"/jobs/{task}", files={"file": ("nothing", b"")}, data=params.form_fields() if params else {}
        )
        job = await client.wait_for_job(
            JobResponse.model_validate_json(answer.raise_for_status().content).job_id, timeout=SECONDS
        )
        if task == "hash":
            result = await client.hash.load(job)
            assert (result.media_type, result.hash_value) == ("file", hashlib.sha512().hexdigest())
        elif task == "exif":  # as real servers do
            output = client.exif.output(job)
            assert (output.make, output.image_width) == (None, None)
            assert output.warnings
        else:
            assert (job.status, job.error_message) == ("failed", "nothing: the file is empty")
