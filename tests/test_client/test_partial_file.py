"""The file of a download that is not complete: found again, never shared, and moved to its destination."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from cl_client import ServerUnavailableError
from cl_client._transfers.partial_file import (
    PartialFile,
    check_place,
    file_or_folder,
    rename_if_free,
    writing,
)
from cl_client.exceptions import DestinationExistsError, FileWriteError

if TYPE_CHECKING:
    from pathlib import Path

THE_FILE = "https://server/jobs/j/files/a.bin"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "a.bin"


def begun(
    target: Path, content: bytes, version: str | None = "one", of: str | None = THE_FILE
) -> PartialFile:
    part = PartialFile(target, of)
    part.start(version)
    part.write(content)
    return part


def found(target: Path, of: str | None = THE_FILE) -> PartialFile:
    part = PartialFile(target, of)
    part.find()
    return part


def kept_bytes(target: Path, of: str | None = THE_FILE) -> int:
    """How many bytes a later download finds."""
    part = found(target, of)
    part.close()
    return part.done


def contents(folder: Path) -> list[bytes]:
    """What all files there contain, those with hidden names included."""
    return sorted(path.read_bytes() for path in folder.iterdir())


def test_an_interrupted_download_is_continued(target: Path) -> None:
    first = begun(target, b"abc")
    assert (first.done, target.exists()) == (3, False)
    first.close()
    [hidden] = target.parent.iterdir()
    assert (hidden.name.startswith(".a.bin."), hidden.suffix) == (True, ".part")
    second = found(target)
    assert second.done == 3
    assert [second.continues(version) for version in ("one", "two", None)] == [True, False, False]
    second.write(b"def")
    assert second.done == 6
    second.finish(overwrite=True)
    second.close()
    assert [(path.name, path.read_bytes()) for path in target.parent.iterdir()] == [("a.bin", b"abcdef")]


@pytest.mark.parametrize(
    ("version", "of"), [(None, THE_FILE), ("one", None), (None, None)], ids=["version", "identity", "both"]
)
def test_what_cannot_be_continued_is_deleted(target: Path, version: str | None, of: str | None) -> None:
    part = begun(target, b"abc", version, of)
    assert contents(target.parent) != []
    part.close()
    assert contents(target.parent) == []
    part.close()  # idempotent
    nothing = found(target, of)
    assert (nothing.done, nothing.version, nothing.continues(version)) == (0, None, False)


def test_an_empty_partial_file_is_not_continued(target: Path) -> None:
    begun(target, b"").close()
    part = found(target)
    assert part.version is not None
    assert not part.continues("one")
    part.close()


def test_another_file_or_another_destination_does_not_continue_it(target: Path) -> None:
    begun(target, b"abc").close()
    assert kept_bytes(target, of="https://server/jobs/other/files/a.bin") == 0
    assert kept_bytes(target.with_name("b.bin")) == 0
    assert kept_bytes(target, of=None) == 0
    assert kept_bytes(target) == 3


def test_a_name_with_wildcards_is_taken_as_it_is(tmp_path: Path) -> None:
    begun(tmp_path / "ab", b"other").close()
    assert kept_bytes(tmp_path / "a[b]") == 0
    assert kept_bytes(tmp_path / "a*") == 0
    begun(tmp_path / "a[b]", b"abc").close()
    assert kept_bytes(tmp_path / "a[b]") == 3


def test_two_long_names(tmp_path: Path) -> None:
    name = "x" * 250 + ".bin"
    begun(tmp_path / name, b"abc").close()
    [hidden] = tmp_path.iterdir()
    assert len(os.fsencode(hidden.name)) <= 255
    assert kept_bytes(tmp_path / name) == 3


@pytest.mark.parametrize("found_first", [True, False])
def test_the_same_version_from_its_beginning(target: Path, *, found_first: bool) -> None:
    begun(target, b"a long content").close()
    part = found(target) if found_first else PartialFile(target, THE_FILE)
    part.start("one")
    assert (part.done, contents(target.parent)) == (0, [b""])
    part.write(b"short")
    part.close()
    assert contents(target.parent) == [b"short"]
    assert kept_bytes(target) == 5


def test_a_new_version_replaces_the_old_one(target: Path) -> None:
    part = begun(target, b"old")
    part.start("two")
    assert not part.continues("two")
    part.write(b"n")
    part.close()
    assert contents(target.parent) == [b"n"]
    again = found(target)
    assert [again.continues(version) for version in ("one", "two")] == [False, True]
    again.start(None)  # the server no longer tells the version
    assert (again.version, again.done) == (None, 0)
    again.close()
    assert contents(target.parent) == []


def test_two_downloads_do_not_write_into_one_file(target: Path) -> None:
    first = begun(target, b"first")
    second = found(target)
    assert (second.done, second.version) == (0, None)
    second.start("one")
    second.write(b"second")
    second.finish(overwrite=True)
    assert target.read_bytes() == b"second"
    third = begun(target, b"third")
    third.close()  # it does not have the name that a later download looks for
    first.close()
    assert contents(target.parent) == [b"first", b"second"]


def test_a_free_partial_file_is_found_beside_a_locked_one(target: Path) -> None:
    parts = [begun(target, content, version) for version, content in (("one", b"1"), ("two", b"22"))]
    for free in (0, 1):
        parts[free].close()
        again = found(target)
        assert again.continues(("one", "two")[free])
        assert again.done == free + 1
        parts[free] = again
        assert kept_bytes(target) == 0  # the other one is locked as well
    for part in parts:
        part.close()


def test_a_link_or_a_folder_in_its_place_is_left_alone(target: Path) -> None:
    begun(target, b"abc").close()
    [place] = target.parent.iterdir()
    place.unlink()
    other = target.with_name("other")
    other.write_bytes(b"other")
    for put in (lambda: place.symlink_to(other), place.mkdir):
        put()
        assert kept_bytes(target) == 0
        part = begun(target, b"new")
        part.finish(overwrite=True)
        assert (target.read_bytes(), other.read_bytes()) == (b"new", b"other")
        place.unlink() if place.is_symlink() else place.rmdir()


def test_folders_are_created(tmp_path: Path) -> None:
    for name in ("a", "b"):  # the second time they exist
        target = tmp_path / "new" / "deep" / name
        part = PartialFile(target)
        part.find()
        part.start(None)
        part.finish(overwrite=False)
        assert target.read_bytes() == b""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("of", [THE_FILE, None])
def test_it_has_the_permissions_of_any_new_file(target: Path, of: str | None) -> None:
    mask = os.umask(0)
    try:
        part = begun(target, b"abc", of=of)
        part.finish(overwrite=True)
        assert target.stat().st_mode & 0o777 == 0o666
    finally:
        os.umask(mask)


@pytest.mark.parametrize("of", [THE_FILE, None])
def test_a_file_at_the_destination_is_not_replaced(target: Path, of: str | None) -> None:
    part = begun(target, b"abc", of=of)
    target.write_bytes(b"mine")
    with pytest.raises(DestinationExistsError) as caught:
        part.finish(overwrite=False)
    assert caught.value.path == target
    part.close()
    assert target.read_bytes() == b"mine"
    assert len(contents(target.parent)) == (1 if of is None else 2)
    assert kept_bytes(target, of) == (0 if of is None else 3)


def test_a_file_at_the_destination_is_replaced(target: Path) -> None:
    target.write_bytes(b"old")
    begun(target, b"new").finish(overwrite=True)
    assert contents(target.parent) == [b"new"]


def test_what_the_file_system_refuses_names_the_destination(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    target = tmp_path / "file" / "below"
    with pytest.raises(FileWriteError) as caught:
        PartialFile(target).start(None)
    assert caught.value.path == target
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("of", [THE_FILE, None])
def test_a_partial_file_that_something_else_has_deleted(target: Path, of: str | None) -> None:
    part = begun(target, b"abc", of=of)
    for path in target.parent.iterdir():
        path.unlink()
    with pytest.raises(FileWriteError) as caught:
        part.finish(overwrite=True)
    assert (caught.value.path, caught.value.errno) == (target, errno.ENOENT)
    part.close()
    assert contents(target.parent) == []


def test_a_partial_file_that_cannot_be_deleted(target: Path) -> None:
    part = begun(target, b"abc", of=None)
    [path] = target.parent.iterdir()
    path.unlink()
    path.mkdir()
    with pytest.raises(FileWriteError) as caught:
        part.close()
    assert caught.value.path == target
    part.close()  # its file is closed already


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are no sockets in folders")
def test_a_partial_file_that_cannot_be_opened(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(target, b"abc").close()
    [path] = target.parent.iterdir()
    path.unlink()
    monkeypatch.chdir(target.parent)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as unusable:
        unusable.bind(path.name)
        with pytest.raises(FileWriteError) as caught:
            PartialFile(target, THE_FILE).find()
        assert caught.value.path == target
        with pytest.raises(FileWriteError) as caught:
            PartialFile(target, THE_FILE).start("one")
        assert caught.value.path == target


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of the size of files")
def test_a_file_that_becomes_too_large(target: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    part = begun(target, b"")
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        part.write(b"x" * 20_000)
        part.write(b"y")  # it is in a buffer
        with pytest.raises(FileWriteError) as caught:
            part.write(b"y" * 20_000)
        part.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (caught.value.path, caught.value.errno) == (target, errno.EFBIG)
    assert kept_bytes(target) == 20_000


def test_errors_of_the_library_are_not_converted(target: Path) -> None:
    error = ServerUnavailableError("down")
    with pytest.raises(ServerUnavailableError) as caught, writing(target):
        raise error
    assert caught.value is error
    exists = DestinationExistsError.at(target)
    with pytest.raises(DestinationExistsError) as same, writing(target):
        raise exists
    assert same.value is exists
    with pytest.raises(KeyError), writing(target):
        raise KeyError
    with pytest.raises(FileWriteError) as written, writing(target):
        raise ValueError("embedded null byte")
    assert written.value.path == target


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("there", [True, False])
def test_renaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool, there: bool) -> None:
    def no_links(_source: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, "this file system has no hard links")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"new")
    if there:
        target.write_bytes(b"mine")
        with pytest.raises(DestinationExistsError) as caught:
            rename_if_free(source, target)
        assert caught.value.path == target
    else:
        rename_if_free(source, target)
    assert contents(tmp_path) == ([b"mine", b"new"] if there else [b"new"])
    assert target.read_bytes() == (b"mine" if there else b"new")


def test_a_file_or_a_folder(tmp_path: Path) -> None:
    too_long = tmp_path / ("x" * 5000)
    assert file_or_folder(tmp_path, "output/a.bin") == tmp_path / "a.bin"
    assert file_or_folder(str(tmp_path), "a.bin") == tmp_path / "a.bin"
    assert file_or_folder(tmp_path / "b.bin", "a.bin") == tmp_path / "b.bin"
    assert file_or_folder(f"{tmp_path}/new/", "a.bin") == tmp_path / "new" / "a.bin"
    with pytest.raises(FileWriteError) as caught:
        check_place(file_or_folder(too_long, "a.bin"), overwrite=True)
    assert caught.value.path == too_long


def test_what_is_at_the_destination(tmp_path: Path) -> None:
    file, missing, link = tmp_path / "file", tmp_path / "missing", tmp_path / "link"
    file.write_bytes(b"")
    link.symlink_to(missing)
    for free in (missing, file / "below"):
        check_place(free, overwrite=False)
    for existing in (file, link):
        check_place(existing, overwrite=True)
        with pytest.raises(DestinationExistsError) as caught:
            check_place(existing, overwrite=False)
        assert caught.value.path == existing
    for overwrite in (True, False):
        with pytest.raises(FileWriteError, match="it is an existing folder") as refused:
            check_place(tmp_path, overwrite=overwrite)
        assert (refused.value.path, refused.value.errno) == (tmp_path, errno.EISDIR)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for overwrite in (True, False):
        with pytest.raises(FileWriteError, match="not a regular file") as caught:
            check_place(pipe, overwrite=overwrite)
        assert (caught.value.path, caught.value.errno) == (pipe, errno.EEXIST)
        assert not isinstance(caught.value, DestinationExistsError)
