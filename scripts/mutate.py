"""Changes the code in small ways, one at a time, and counts which changes the tests notice.

``uv run python scripts/mutate.py`` does so for all parts, with names for those alone. It works in a copy
outside of the repository. What was killed is not tested again while its function stays the same, so that an
interrupted run goes on where it was; ``--fresh`` begins anew. Linux and macOS.
"""

from __future__ import annotations

import argparse
import ast
import getpass
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent
MUTMUT: Final = "mutmut>=3.8.1,<4"
TARGET: Final = 85
"""Per cent of the mutants that tests have to notice."""
# Log calls may change, as may what a type checker alone reads.
NOT_MUTATED: Final = (r"^\s*logger\.",)

# As `mutmut show` does, for many in one process.
SHOW: Final = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(json.dumps({key: get_diff_for_mutant(key) for key in json.loads(sys.argv[1])}))
"""


@dataclass(frozen=True)
class Part:
    """Modules below ``src/cl_client``, and tests below ``tests`` that show all of them in seconds."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


PARTS: Final = {
    "paths": Part(
        ("_transfers/job_paths.py", "_transfers/names.py"),
        ("test_client/test_job_paths.py", "test_client/test_transfers.py"),
    ),
    "body": Part(
        ("_transfers/multipart.py", "_transfers/body.py"),
        (
            "test_client/test_transfers.py",
            "test_client/test_body_reader.py",
            "test_reliability/test_downloads.py",
        ),
    ),
    "partial_file": Part(
        ("_transfers/partial_file.py",),
        (
            "test_client/test_partial_file.py",
            "test_reliability/test_downloads.py",
            "test_reliability/test_file_faults.py",
        ),
    ),
    "reader": Part(
        ("_jobs/reader.py",),
        (
            "test_client/test_job_reader.py",
            "test_client/test_reader_pauses.py",
            "test_client/test_read_errors.py",
            "test_client/test_giving_way.py",
        ),
    ),
    "tracker": Part(
        ("_jobs/tracker.py", "_jobs/followed_job.py"),
        (
            "test_client/test_followed_job.py",
            "test_client/test_job_tracker.py",
            "test_client/test_tracker_listeners.py",
            "test_client/test_push_health.py",
            "test_client/test_read_errors.py",
            "test_client/test_job_reader.py",
            "test_client/test_reader_pauses.py",
        ),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """A change, and whether tests noticed it."""

    key: str
    module: str
    status: str


STATUSES: Final = {0: "survived", 1: "killed", 3: "killed", 5: "untested", 33: "untested", None: "not run"}
TIMEOUTS: Final = {36, 24, -24, 152, 255}


def status_of(exit_code: int | None) -> str:
    """What an exit code of mutmut's means; who waits for ever is noticed, too."""
    return "killed" if exit_code in TIMEOUTS else STATUSES.get(exit_code, f"exit code {exit_code}")


def copy_to(folder: Path, part: Part) -> None:
    """Put what git knows into a folder, with mutmut's settings; what is unchanged keeps its time."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S607 - on PATH
    for name in filter(None, listing.stdout.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file() and not (target.is_file() and target.read_bytes() == source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for module in part.modules:
        # mutmut passes over functions with a decorator, and this one does nothing.
        path = folder / "src" / "cl_client" / module
        source = path.read_text(encoding="utf-8")
        path.write_text(
            re.sub(r"^( +)@override$", r"\1# override", source, flags=re.MULTILINE), encoding="utf-8"
        )
    settings: dict[str, list[str] | float] = {
        "source_paths": ["src"],
        "only_mutate": [f"src/cl_client/{module}" for module in part.modules],
        "do_not_mutate_patterns": [*NOT_MUTATED],
        "also_copy": ["conftest.py", "example"],
        # Times what its tests take without a change, and some seconds more.
        "timeout_multiplier": 3.0,
        "timeout_constant": 5.0,
        "pytest_add_cli_args": ["-n0", "-p", "no:cacheprovider"],
        "pytest_add_cli_args_test_selection": [f"tests/{test}" for test in part.tests],
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        "\n".join([pyproject, "[tool.mutmut]", *lines, ""]), encoding="utf-8"
    )


def forget_survivors(folder: Path, part: Part) -> None:
    """Have what survived tested again: mutmut would not, although tests may have come or changed."""
    for module in part.modules:
        meta = folder / "mutants" / "src" / "cl_client" / f"{module}.meta"
        if meta.is_file():
            results = cast("dict[str, dict[str, int | None]]", json.loads(meta.read_text(encoding="utf-8")))
            codes = results["exit_code_by_key"]
            codes.update({key: None for key, code in codes.items() if status_of(code) != "killed"})
            meta.write_text(json.dumps(results), encoding="utf-8")


def python(folder: Path, *arguments: str, capture: bool = False) -> str:
    """Run Python in the copy, with mutmut and the project's own environment."""
    command = ["uv", "run", "--project", str(ROOT), "--no-sync", "--with", MUTMUT, "python"]
    done = subprocess.run(  # noqa: S603 - our own arguments
        [*command, *arguments],
        cwd=folder,
        check=False,
        text=True,
        stdout=subprocess.PIPE if capture else None,
    )
    if done.returncode:
        raise SystemExit(f"mutmut ended with {done.returncode}")
    return done.stdout or ""


def mutants_of(folder: Path, part: Part) -> Iterator[Mutant]:
    """All mutants of a part, with their results."""
    for module in part.modules:
        meta = folder / "mutants" / "src" / "cl_client" / f"{module}.meta"
        codes = cast("dict[str, dict[str, int | None]]", json.loads(meta.read_text(encoding="utf-8")))
        for key, code in codes["exit_code_by_key"].items():
            yield Mutant(key, module, status_of(code))


def diffs_of(folder: Path, mutants: list[Mutant]) -> dict[str, str]:
    """What each of them changes, in a diff of its function; by its key."""
    keys = json.dumps([mutant.key for mutant in mutants])
    return cast("dict[str, str]", json.loads(python(folder, "-c", SHOW, keys, capture=True)))


def function_line(source: str, key: str) -> int:
    """Where the mutant's function begins; keys end like ``x_name__mutmut_1``, ``xǁClassǁname__mutmut_1``."""
    mangled = key.rpartition(".")[2].rpartition("__mutmut_")[0]
    *owner, name = mangled.split("ǁ")[1:] or [mangled.removeprefix("x_")]
    body = ast.parse(source).body
    for class_name in owner:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == class_name)
    function = next(
        node
        for node in body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
    )
    line = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    lines = source.splitlines()
    while lines[line - 2].lstrip().startswith("#"):  # it is part of the function in mutmut's diff
        line -= 1
    return line


def changed_lines(diff: str) -> tuple[str, str, int]:
    """What a diff takes away, what it puts there, and the first changed line from the function's begin."""
    removed, added, offset, first = "", "", 0, 0
    for line in diff.splitlines():
        if line.startswith("@@"):
            offset = int(line.split()[1].removeprefix("-").partition(",")[0]) - 1
        elif line.startswith("-") and not line.startswith("---"):
            first = first or offset
            removed += line[1:]
        elif line.startswith("+") and not line.startswith("+++"):
            first = first or offset
            added += line[1:]
        offset += not line.startswith("+")
    return removed, added, first


def is_wording(removed: str, added: str) -> bool:
    """Whether only a sentence differs, or only what a type checker reads."""

    def without(code: str) -> str:
        code = re.sub(r'cast\((?:"[^"]*"|None), ', "cast(", code)
        return re.sub(r'"[^"]* [^"]*"', '"words"', code)

    return without(removed) == without(added)


def report(folder: Path, name: str, part: Part) -> bool:
    """Print a part's figures and its survivors; whether it reaches the target."""
    mutants = list(mutants_of(folder, part))
    counted = Counter(mutant.status for mutant in mutants)
    survivors: list[str] = []
    alive = [mutant for mutant in mutants if mutant.status != "killed"]
    diffs = diffs_of(folder, alive)
    for mutant in alive:
        removed, added, line = changed_lines(diffs[mutant.key])
        if is_wording(removed, added):
            counted[mutant.status] -= 1
            counted["wording"] += 1
            continue
        source = (folder / "src" / "cl_client" / mutant.module).read_text(encoding="utf-8")
        where = f"src/cl_client/{mutant.module}:{function_line(source, mutant.key) + line}"
        survivors.append(f"{where} ({mutant.status})\n  - {removed.strip()}\n  + {added.strip()}")
    print(*sorted(survivors), sep="\n")
    total = len(mutants) - counted["wording"]
    share = 100 * counted["killed"] / max(total, 1)
    others = ", ".join(f"{count} {status}" for status, count in sorted(counted.items()) if count)
    print(f"== {name}: {share:.1f} % of {total} mutants killed ({others}; wording does not count)")
    return share >= TARGET


def main() -> None:
    """Run the parts that the command line names, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"any of: {', '.join(PARTS)}")
    parser.add_argument("--folder", type=Path, help="where the copies are; default: a temporary folder")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--processes", type=int, default=2, help="how many mutants are tested at once")
    chosen = parser.parse_args(namespace=Arguments())
    if unknown := set(chosen.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    folder = chosen.folder or Path(tempfile.gettempdir()) / f"cl_client-mutants-{getpass.getuser()}"
    good = True
    for name in chosen.parts or PARTS:
        copy = folder / name
        if chosen.fresh:
            shutil.rmtree(copy, ignore_errors=True)
        copy_to(copy, PARTS[name])
        forget_survivors(copy, PARTS[name])
        python(copy, "-m", "mutmut", "run", "--max-children", str(chosen.processes))
        good &= report(copy, name, PARTS[name])
    sys.exit(not good)


class Arguments(argparse.Namespace):
    """What the command line says."""

    parts: list[str] = []  # noqa: RUF012 - argparse replaces it
    folder: Path | None = None
    fresh: bool = False
    processes: int = 2


if __name__ == "__main__":
    main()
