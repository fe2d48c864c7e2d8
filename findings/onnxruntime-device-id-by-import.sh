#!/usr/bin/env bash
# onnxruntime 1.32.0 (PyPI), Python 3.11, Linux x86-64; 2026-11-30. The same from 1.29.0 on; 1.28.0 leaves nothing.
#
# Behaviour: `import onnxruntime`, without any model, writes a persistent device ID and a database of events into
# Microsoft/DeveloperTools/.onnxruntime below the user's cache, and a file `.ses` into the temp folder, where it stays.
# The wheels for Linux and macOS have the telemetry of Windows since, and it is on. `disable_telemetry_events()`, the
# switch of the Python interface, can only be called after that import, and removes nothing. Some seconds after the first
# InferenceSession, the process looks up mobile.events.data.microsoft.com (seen in strace, not repeated here). Only the variable
# ORT_DISABLE_TELEMETRY=1, set before the import, prevents it; so does CI=1, so that no CI run ever sees these files.
#
# The guess that missed: telemetry is a matter of Windows, and importing a library writes nothing.
#
# Seen:
#   import                     .cache/Microsoft/DeveloperTools/.onnxruntime/deviceid .../onnxruntime.db .ses
#   disable_telemetry_events   .cache/Microsoft/DeveloperTools/.onnxruntime/deviceid .../onnxruntime.db .ses
#   ORT_DISABLE_TELEMETRY=1    nothing
#   CI=1                       nothing
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check onnxruntime==1.32.0 >"$folder/pip.log" 2>&1 ||
    { cat "$folder/pip.log"; exit 2; }

left() { # NAME CODE [VARIABLE=VALUE]: what Python leaves in an empty home folder, which is its temp folder as well
    local name=$1 code=$2
    shift 2
    mkdir "$folder/home"
    env -i PATH="$PATH" HOME="$folder/home" TMPDIR="$folder/home" "$@" "$folder/venv/bin/python" -c "$code"
    (cd "$folder/home" && printf '%s:%s\n' "$name" "$(find . -type f -printf ' %f\n' | grep -v -e -wal -e -shm | sort | tr -d '\n')")
    rm -rf "$folder/home"
}

seen=$(
    left import "import onnxruntime"
    left disabled "import onnxruntime; onnxruntime.disable_telemetry_events()"
    left variable "import onnxruntime" ORT_DISABLE_TELEMETRY=1
    left ci "import onnxruntime" CI=1
)
echo "$seen"
[ "$seen" = "import: .ses deviceid onnxruntime.db
disabled: .ses deviceid onnxruntime.db
variable:
ci:" ] || { echo "this has changed"; exit 1; }
