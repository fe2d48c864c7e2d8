"""The limits of the reader of TIFF directories, and the types that only BigTIFF has."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from cl_client.local.tasks.conversion.converted_exif import exif_in_tiff
from cl_client.local.tasks.formats.tiff import TiffReader
from cl_client.local.tasks.formats.tiff_directories import tiff_directories

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20
EXIF, GPS, ISO, WIDTH = 34665, 34853, 34855, 256
LONG8, IFD8 = 16, 18


class Counted(io.BytesIO):
    """Counts what is read from it."""

    bytes_read = 0

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.bytes_read += len(content)
        return content


def test_directories_that_overlap_are_not_read_again_and_again() -> None:
    content = struct.pack("<2sHI", b"II", 42, 8) + b"\xff\xff" * MIB
    stream = Counted(content)
    reader = TiffReader(stream)
    for offset in range(8, 8 + 2 * 1000, 2):
        reader.entries(offset)
    assert 16 * MIB < stream.bytes_read < 34 * MIB


def test_values_at_one_place_are_not_read_again_and_again() -> None:
    entries = b"".join(struct.pack("<HHII", tag, 7, MIB, 0) for tag in range(1000))
    content = struct.pack("<2sHIH", b"II", 42, 8, 1000) + entries + bytes(MIB)
    stream = Counted(content)
    reader = TiffReader(stream)
    found = reader.fields(reader.first)
    assert 16 < len(found) < 33
    assert stream.bytes_read < 34 * MIB


def big_tiff(*directories: list[tuple[int, int, int]]) -> bytes:
    """A BigTIFF of directories with a number in each entry; the first one is at 16, the others behind it."""
    written = [
        struct.pack("<Q", len(entries))
        + b"".join(struct.pack("<HHQQ", tag, kind, 1, value) for tag, kind, value in entries)
        + bytes(8)
        for entries in directories
    ]
    return struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) + b"".join(written)


def test_exif_of_a_big_tiff_is_found_by_offsets_of_8_bytes() -> None:
    behind = 16 + 8 + 2 * 20 + 8
    content = big_tiff(
        [(EXIF, LONG8, behind), (GPS, IFD8, behind)], [(0, 1, 2), (ISO, 3, 400), (ISO + 1, LONG8, 1)]
    )
    kept = exif_in_tiff(io.BytesIO(content), turned=False, dropped=set())
    assert kept is not None
    for tag in (EXIF, GPS):
        copied = kept.directory[tag]
        assert isinstance(copied, dict)
        assert copied.keys() == {0, ISO}  # EXIF cannot hold whole numbers of 8 bytes


def test_sizes_of_8_bytes(tmp_path: Path) -> None:
    file = tmp_path / "big.tif"
    file.write_bytes(big_tiff([(WIDTH, LONG8, 70_000), (WIDTH + 1, 4, 3)]))
    assert [(one.width, one.height) for one in tiff_directories(file)] == [(70_000, 3)]


@pytest.mark.parametrize("offset", [2**40, 2**44, 2**47, 2**62, 2**63, 2**64 - 1])
def test_an_offset_beyond_any_file(tmp_path: Path, offset: int) -> None:
    content = big_tiff([(WIDTH, LONG8, 70_000), (WIDTH + 1, 4, 3), (EXIF, LONG8, offset)])
    file = tmp_path / "big.tif"
    file.write_bytes(content)
    with file.open("rb") as stream:
        for source in (stream, io.BytesIO(content)):
            reader = TiffReader(source)
            assert reader.entries(offset).entries == {}
            assert reader.sub_directory(reader.fields(reader.first), EXIF) == {}
            assert exif_in_tiff(source, turned=False, dropped=set()) is None
