"""What cannot be is refused with exit code 2 and a reason, before anything is sent or written.

All commands run in one process, since each is over at once and its start would cost more than it does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from pydantic import BaseModel, TypeAdapter

from cl_client.local.samples import draw_photo
from patience import SECONDS

if TYPE_CHECKING:
    from pathlib import Path

_RUN_EACH: Final = """
import contextlib, io, json, sys
from cl_client_cli.main import main

results = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    stdout, stderr, code = io.StringIO(), io.StringIO(), None
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            main()
        except SystemExit as end:
            code = end.code
    results.append({"code": code, "stdout": stdout.getvalue(), "stderr": stderr.getvalue()})
print(json.dumps(results))
"""
_SPECIFICATIONS: Final = {
    "broken.json": "{",
    "object.json": "{}",
    "empty.json": "[]",
    "nofile.yaml": "- {input: nope.png, task: hash}",
    "notask.yaml": "- {input: a.jpg, task: nope}",
    "short.yaml": "- {input: a.jpg}",
    "param.yaml": "- {input: a.jpg, task: hash, params: {algorithm: sha1}}",
    "row.csv": "input,task\na.jpg,hash\n,hash\n",
    "twins.csv": "input,task,output\na.jpg,hash,x\nb.jpg,hash,X\n",
    "moved.csv": "input,task,output\na.jpg,hash,x\na.jpg,hash,y\n",
    "itself.csv": "input,task,output\na.jpg,hash,A.jpg\n",
    "needed.csv": "input,task\na.jpg,image_conversion\n",
    "semicolons.csv": "input;task\na.jpg;hash\n",
    "blank.csv": "\n",
    "wide.csv": "input,task\na.jpg,hash,md5\n",
    "deep.json": "[" * 100_000,
    "above.csv": "input,task,output\na.jpg,hash,../x\n",
    "itself.yaml": "- {input: a.jpg, task: hash, output: .}",
    "record.yaml": "- {input: a.jpg, task: hash, output: batch.sqlite-wal}",
    "inside.csv": "input,task,output\na.jpg,hash,x\nb.jpg,hash,x/y\n",
    "around.csv": "input,task,output\na.jpg,hash,x/y\nb.jpg,hash,x\n",
    "crops.csv": "input,task,output\na.jpg,face-detection,x.a\nb.jpg,face-detection,x.b\n",
    "variant.yaml": "- {input: a.jpg, task: hls-streaming, params: {variants: [{height: 0, bitrate: 900}]}}",
    "width.yaml": "- {input: a.jpg, task: hash}\n"
    "- {input: a.jpg, task: media-thumbnail, params: {width: 0}, output: ''}",
    "nul.txt": "a.jpg\0[b].jpg\0",
    "stream.csv": "input,task,output\na.jpg,hls-streaming,folder\n",
}
_CASES: Final = (
    ("nope", "nope"),
    ("--json", "--json: no command given after it"),
    ("--jsn health", "--jsn: unknown option before the command; did you mean --json?"),
    ("--annotate x face-detection detect a.jpg", "give it after the command"),
    ("-qx health", "-x: unknown option before the command"),
    ("--config", "--config: a value is required"),
    ("--config --json health", "--config: a value is required"),
    ("--timeout 3 health", "--timeout: cl-client health has no such option"),
    ("--timeout soon hash compute a.jpg", "soon"),
    ("--timeout -1 hash compute a.jpg", "--timeout"),
    ("--local=perhaps hash compute a.jpg", "--local takes no value"),
    ("--server http://a --server http://b health", "--server"),
    ("--quiet nope", "nope"),
    ("--config nope.yaml hash compute a.jpg", "nope.yaml"),
    ("demo --no-such-option", "--no-such-option"),
    ("demo nope.jpg", "nope.jpg"),
    ("demo folder", "this is a folder"),
    ("demo a.jpg --output-dir out --no-keep", "--output-dir and --no-keep"),
    ("server --generation Z", "Z"),
    ("server --port 0 --mqtt-url gopher://broker", "gopher"),
    ("server --port 0 --mqtt-port 0 --tls-cert nope.pem", "--tls-cert and --tls-key"),
    ("server --port 0 --mqtt-port 0 --mqtt-auth", "--mqtt-auth requires --auth and the built-in broker"),
    ("hash compute", "name at least one"),
    ("hash compute <empty>", "an argument is empty"),
    ("similar a.jpg <empty>", "an argument is empty"),
    ("batch submit <empty> -t hash", "an argument is empty"),
    ("batch submit - -t hash", "standard input cannot be read again"),
    ("batch submit -t hash", "name at least one file, folder, pattern or @list.txt"),
    ("similar - - a.jpg", "give '-' once"),
    ("hash compute @nul.txt", "@nul.txt: the list contains NUL characters"),
    ("hash compute a.jpg --no-wait --local", "the local server stops with the command"),
    ("batch submit a.jpg -t hash --no-wait --local", "the local server stops with the command"),
    ("hash compute a.jpg --no-wait -o b", "results are not downloaded, so --output b cannot be used"),
    ("face-detection detect a.jpg --no-wait --annotate b.png", "so --annotate b.png cannot be used"),
    ("hash compute nope.jpg", "nope.jpg"),
    ("hash compute *.nope", "'*.nope': no file matches this pattern"),
    ("hash compute @nope.txt", "nope.txt"),
    ("hash compute folder", "no suitable files in this folder"),
    ("hash compute a.jpg --nope", "Unknown option: --nope"),
    ("hash compute a.jpg --concurency 3", "Did you mean --concurrency?"),
    ("hash compute -- a.jpg --nope", "'--nope': no such file"),
    ("hash compute a.jpg --algorithm sha1", "sha1"),
    ("hash compute a.jpg --concurrency 0", "--concurrency 0"),
    ("hash compute a.jpg --timeout 0", "--timeout 0"),
    ("hash compute a.jpg --timeout nan", "--timeout nan: must be a number of seconds above 0"),
    ("batch submit a.jpg -t hash --timeout inf", "--timeout inf: must be a number"),
    ("hash compute a.jpg --priority 11", "--priority 11"),
    ("hash compute a.jpg --local --server http://x", "--local and --server"),
    ("hash compute a.jpg --server nope", "base_url: the URL must start with http:// or https://"),
    ("hash compute a.jpg --profile nope", "profile 'nope' not found"),
    ("hash compute a.jpg -o a -d b", "--output and --output-dir"),
    ("hash compute a.jpg -o folder", "--output folder: this is a folder"),
    ("hash compute a.jpg -o b.jpg/x.json", "b.jpg is a file, not a folder; name a folder"),
    ("hash compute a.jpg -d b.jpg", "--output-dir b.jpg: b.jpg is a file"),
    ("hls-streaming generate-manifest a.jpg -o b.jpg", "--output b.jpg: b.jpg is a file"),
    ("hls-streaming generate-manifest a.jpg -o .", "--output .: this folder contains other files"),
    ("hls-streaming generate-manifest a.jpg -o -", "--output -: the result consists of many files"),
    ("hash compute a.jpg -o - --json", "--output - and --json"),
    ("image-conversion convert a.jpg --format jpg -o folder/../a.jpg", "this would overwrite the input"),
    ("face-detection detect a.jpg --annotate a.jpg", "this would overwrite the input"),
    ("face-detection detect a.jpg --annotate b.jpg/c.jpg", "b.jpg is a file"),
    ("batch submit a.jpg -t hash -d b.jpg", "--output-dir b.jpg"),
    ("demo a.jpg --output-dir b.jpg", "--output-dir b.jpg"),
    ("download 3f2a -d b.jpg", "--output-dir b.jpg"),
    ("hash compute a.jpg b.jpg -o a", "--output is for a single input"),
    ("exif extract a.jpg --tag a+b", "--tag"),
    ("image-conversion convert a.jpg", "--format"),
    ("image-conversion convert a.jpg --format webp --quality 0", "--quality 0"),
    ("media-thumbnail generate a.jpg --width -1", "--width -1: must be above 0"),
    ("media-thumbnail generate a.jpg -o y.png", "the format of the result is jpg, not png"),
    ("image-conversion convert a.jpg --format webp -o y.PNG", "the format of the result is webp, not png"),
    ("hls-streaming generate-manifest a.jpg --variant 720", "--variant 720"),
    ("face-detection detect a.jpg --nms-threshold 2", "--nms-threshold 2"),
    ("face-detection detect a.jpg --annotate a.txt", "'a.txt': unsupported image format"),
    ("face-detection detect a.jpg b.jpg --annotate c.jpg", "name a folder"),
    ("similar a.jpg b.jpg --limit 0", "--limit 0"),
    ("similar a.jpg b.jpg --no-wait", "--no-wait"),
    ("similar *.jpg a.jpg", "name a single photo to compare with"),
    ("batch submit .", "no task given: name at least one"),
    ("batch submit . -t nope", "--task nope"),
    ("batch submit . -t hash --param algorithm=md5", "--param algorithm=md5"),
    ("batch submit empty.json -t hash", "--task and --param cannot be combined with a specification"),
    ("batch submit broken.json", "cannot be read"),
    ("batch submit object.json", "must be a list of jobs"),
    ("batch submit empty.json", "contains no jobs"),
    ("batch submit nofile.yaml", "job 1: file 'nope.png' not found"),
    ("batch submit notask.yaml", "unknown task 'nope'"),
    ("batch submit short.yaml", "job 1: task"),
    ("batch submit param.yaml", "--algorithm sha1"),
    ("batch submit row.csv", "job 2: input"),
    ("batch submit needed.csv", "needed.csv, job 1: --format: is required"),
    ("batch submit width.yaml", "width.yaml, job 2: --width 0: must be above 0"),
    ("batch submit variant.yaml", "job 1: --variant {'height': 0, 'bitrate': 900}: must be HEIGHT:KBITS"),
    ("batch submit semicolons.csv", "input;task"),
    ("batch submit blank.csv", "the first line must name"),
    ("batch submit wide.csv", "job 1: the row has 3 columns"),
    ("batch submit deep.json", "cannot be read"),
    ("batch submit above.csv", "must be a relative path inside"),
    ("batch submit itself.yaml", "must be a relative path inside"),
    ("batch submit record.yaml", "is reserved for the batch's manifest"),
    ("batch submit inside.csv", "is already used by another job"),
    ("batch submit around.csv", "is already used by another job"),
    ("batch submit crops.csv", "is already used by another job"),
    ("batch submit stream.csv -d .", "already exists"),
    ("batch resume -d nope", "no batch in this folder"),
    ("demo -d out --no-keep", "--output-dir and --no-keep"),
    (
        "batch submit twins.csv",
        "job 2: output 'cl-client-batch/X' is already used by another",
    ),
    ("batch submit moved.csv", "remove the output"),
    ("batch submit itself.csv -d .", "is one of the inputs"),
    ("batch submit a.jpg -t hash --report folder", "--report folder: this is a folder"),
    ("batch submit a.jpg -t hash --retries -1", "--retries -1"),
    ("batch submit a.jpg -t hash --give-up-after -1", "--give-up-after -1"),
    ("batch submit a.jpg -t hash -c 65", "--concurrency 65"),
    ("batch resume nope", "no batch in this folder"),
    ("batch status nope", "no batch in this folder"),
    ("batch report nope", "no batch in this folder"),
    ("jobs list --status nope", '"nope" for --status'),
    ("jobs list --since nope", "--since nope"),
    ("jobs list --since 99999999999w", "--since 99999999999w: date out of range"),
    ("jobs list --task nope", "--task nope: unknown task; the tasks are hash,"),
    ("jobs list --limit 0", "--limit 0"),
    ("jobs prune --older-than x", "--older-than x"),
    ("jobs prune --older-than 99999999999w", "--older-than 99999999999w: date out of range"),
    ("jobs get", "no job ID given: name at least one job"),
    ("jobs wait 3f2a --timeout 0", "--timeout 0"),
    ("login me", "no auth service is configured"),
    ("doctor --local", "--local: not supported by this command"),
    ("admin cleanup --yes --local", "--local: not supported by this command"),
    ("config init --local", "--local: not supported by this command"),
    ("config path --local", "--local: not supported by this command"),
    ("config show --local", "--local: not supported by this command"),
    ("download 3f2a --local", "--local: not supported by this command"),
    ("health --local", "--local: not supported by this command"),
    ("jobs get 3f2a --local", "--local: not supported by this command"),
    ("jobs list --local", "--local: not supported by this command"),
    ("login me --local", "--local: not supported by this command"),
    ("logout --local", "--local: not supported by this command"),
    ("whoami --local", "--local: not supported by this command"),
    ("discover --timeout 0", "--timeout 0"),
    ("discover --timeout nan", "--timeout nan"),
    ("discover --interface eth0", "--interface eth0: must be an IP address"),
    ("health --server http://nas:99999", "base_url: the host or port is invalid"),
    ("health --server http://nas:many", "base_url: the host or port is invalid"),
    ("models pull dinov2 gpt", "gpt; the models are mobileclip"),
    ("config init --config it.yaml", "ends in .toml"),
    ("config init --mqtt gopher://broker", "scheme 'gopher' is not one of"),
)


class Refusal(BaseModel):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run."""
    folder = tmp_path_factory.mktemp("wrong-use")
    (folder / "folder").mkdir()
    for name in ("a.jpg", "b.jpg"):
        draw_photo(folder / name, size=(40, 30))
    for name, text in _SPECIFICATIONS.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def refusals(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Refusal]:
    """How each command ended. There is no server, and none is needed."""
    home = tmp_path_factory.mktemp("home")
    private = {name: str(home) for name in ("CL_CLIENT_CACHE_DIR", "CL_CLIENT_DATA_DIR", "XDG_CONFIG_HOME")}
    environment = {**os.environ, **private, "PYTHONUTF8": "1", "COMPUTE_SERVER_URL": "http://127.0.0.1:9"}
    cases: list[list[str]] = [[word.replace("<empty>", "") for word in case.split()] for case, _ in _CASES]
    shown = subprocess.run(  # noqa: S603 - the command under test
        [sys.executable, "-c", _RUN_EACH, TypeAdapter(list[list[str]]).dump_json(cases).decode()],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=SECONDS,
    )
    results = TypeAdapter(list[Refusal]).validate_json(shown.stdout)
    return {case: result for (case, _), result in zip(_CASES, results, strict=True)}


@pytest.mark.parametrize(("command", "words"), _CASES)
def test_it_is_refused_with_a_reason(refusals: dict[str, Refusal], command: str, words: str) -> None:
    refusal = refusals[command]
    assert words in " ".join(refusal.stderr.split())
    assert (refusal.code, refusal.stdout) == (2, "")


def test_nothing_was_written(refusals: dict[str, Refusal], folder: Path) -> None:
    del refusals
    kept = {"folder", "a.jpg", "b.jpg", *_SPECIFICATIONS}
    assert {path.name for path in folder.iterdir()} == kept
