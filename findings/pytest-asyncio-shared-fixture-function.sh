#!/usr/bin/env bash
# pytest-asyncio 1.5.0, pytest 9.2.0, Python 3.11; 2026-11-30
#
# Behaviour: `pytest_asyncio.fixture(loop_scope=...)` notes the scope of the event loop on the function that it is
# given, not on the fixture that it makes. One function that is made into several fixtures with different loop scopes
# therefore gives fixtures that all run on the loop of the scope that was named last. A fixture with
# loop_scope="function" then runs on another loop than its test, without a warning: what it has opened there (servers,
# clients) is never served while the test waits for it.
#
# The guess that missed: each call of the decorator makes a fixture of its own, with its own loop scope, as
# `pytest.fixture(scope=...)` does for scopes.
#
# Seen:
#   one function for two fixtures   fixture and test on one loop: False
#   two functions                   fixture and test on one loop: True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q pytest==9.2.0 pytest-asyncio==1.5.0
cat >"$folder/test_shared.py" <<'PYTHON'
import asyncio

import pytest
import pytest_asyncio


async def _loop():
    return asyncio.get_running_loop()


async def _alone():
    return asyncio.get_running_loop()


on_function_loop = pytest_asyncio.fixture(loop_scope="function", name="on_function_loop")(_loop)
on_session_loop = pytest_asyncio.fixture(loop_scope="session", name="on_session_loop")(_loop)
alone_on_function_loop = pytest_asyncio.fixture(loop_scope="function", name="alone_on_function_loop")(_alone)


@pytest.mark.asyncio(loop_scope="function")
async def test_both(on_function_loop, alone_on_function_loop):
    own = asyncio.get_running_loop()
    print("\nSEEN one function for two fixtures   fixture and test on one loop:", on_function_loop is own)
    print("SEEN two functions                   fixture and test on one loop:", alone_on_function_loop is own)
PYTHON
cd "$folder"
seen=$("$folder/venv/bin/python" -m pytest -q -s -p no:cacheprovider test_shared.py | sed -n 's/^SEEN //p')
echo "$seen"
[ "$seen" = "one function for two fixtures   fixture and test on one loop: False
two functions                   fixture and test on one loop: True" ]
