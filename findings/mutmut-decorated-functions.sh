#!/usr/bin/env bash
# mutmut 3.8.1, Python 3.11; 2026-11-30
#
# Behaviour: mutmut makes no mutants of functions that have a decorator, except for @staticmethod and @classmethod, and
# says nothing about it: neither in its summary nor in the list of results. In typed code that marks overriding methods
# with `typing.override`, which does nothing at run time, whole classes drop out of the count, and the score is one of
# the remaining code.
#
# The guess that missed: code that cannot be mutated is listed as skipped, or counts as not covered.
#
# Seen:
#   mutants of the plain function       3
#   mutants of the decorated function   0
#   the decorated function is mentioned 0 times
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q mutmut==3.8.1 pytest==9.2.0 typing-extensions==4.15.0
mkdir -p "$folder/project/src/shapes" "$folder/project/tests"
cd "$folder/project"
cat >pyproject.toml <<'TOML'
[project]
name = "shapes"
version = "1"

[tool.mutmut]
source_paths = ["src"]
TOML
cat >src/shapes/__init__.py <<'PYTHON'
from typing_extensions import override


class Shape:
    def plain(self, side: int) -> int:
        return side * side + 1

    def decorated(self, side: int) -> int:
        raise NotImplementedError


class Square(Shape):
    @override
    def decorated(self, side: int) -> int:
        return side * side + 1
PYTHON
cat >tests/test_shapes.py <<'PYTHON'
from shapes import Square


def test_both():
    assert Square().plain(3) == 10
    assert Square().decorated(3) == 10
PYTHON
PATH="$folder/venv/bin:$PATH" PYTHONPATH=src "$folder/venv/bin/mutmut" run >run.txt 2>&1 || { tail -20 run.txt; exit 2; }
PATH="$folder/venv/bin:$PATH" "$folder/venv/bin/mutmut" results --all true >results.txt 2>&1
plain=$(grep -c "plain__mutmut_" results.txt || true)
decorated=$(grep -c "decorated__mutmut_" results.txt || true)
mentioned=$(cat run.txt results.txt | grep -c decorated || true)
echo "mutants of the plain function       $plain"
echo "mutants of the decorated function   $decorated"
echo "the decorated function is mentioned $mentioned times"
[ "$plain" -eq 3 ] && [ "$decorated" -eq 0 ] && [ "$mentioned" -eq 0 ]
