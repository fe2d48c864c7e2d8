#!/usr/bin/env bash
# httpx 0.28.1, httpcore 1.0.9, h2 4.4.0 (PyPI) with nginx 1.22.1 (Debian 12, 1.22.1-9+deb12u11); 2026-11-30
#
# Behaviour: nginx refuses an upload whose Content-Length is above client_max_body_size as soon as it has the headers.
# Over HTTP/1.1, httpx gives that 413 at once, and so does curl over HTTP/2. httpx over HTTP/2 receives the 413 as
# early, and keeps it: while a request's body waits for room in the flow-control window, what arrives for that stream
# is put aside, and only a larger window, which nginx has no reason to grant any more, ends the wait. The call ends in
# ReadTimeout after the whole read timeout, or never with timeout=None. A body without Content-Length is refused later,
# within a window that is open, and gets its 413.
#
# The guess that missed: HTTP/2 has streams and frames for this, so an early answer is heard there if anywhere, and
# HTTP/1.1 is the version in which it may get lost.
#
# Seen:
#   curl, HTTP/2, length announced       413 within a second
#   httpx, HTTP/1.1, length announced    413 within a second
#   httpx, HTTP/2, no length             413 within a second
#   httpx, HTTP/2, length announced      ReadTimeout after 5 s
set -euo pipefail

folder=$(mktemp -d)
nginx=
trap '[ -z "$nginx" ] || kill "$nginx" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
(
    cd "$folder"
    apt-get download -qq nginx=1.22.1-9+deb12u11 2>/dev/null
    dpkg -x nginx_*.deb root
) || { echo "the package cannot be had here: this needs Debian 12"; exit 2; }
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q --disable-pip-version-check \
    httpx==0.28.1 httpcore==1.0.9 h2==4.4.0 >"$folder/pip.log" 2>&1 || { cat "$folder/pip.log"; exit 2; }
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>/dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$folder/nginx.conf" <<EOF
daemon off; master_process off; pid $folder/nginx.pid; error_log $folder/nginx.log; events {}
http {
    access_log off;
    client_body_temp_path $folder/1; proxy_temp_path $folder/2; fastcgi_temp_path $folder/3;
    uwsgi_temp_path $folder/4; scgi_temp_path $folder/5;
    server {
        listen 127.0.0.1:$port ssl http2;
        ssl_certificate $folder/cert.pem; ssl_certificate_key $folder/key.pem;
        client_max_body_size 1m;
        location / { proxy_pass http://127.0.0.1:9; }
    }
}
EOF
"$folder/root/usr/sbin/nginx" -c "$folder/nginx.conf" -e "$folder/nginx.log" >"$folder/out.log" 2>&1 &
nginx=$!
head -c 3000000 /dev/zero >"$folder/upload"

"$folder/venv/bin/python" - "$port" "$folder" <<'PYTHON'
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx

port, folder = sys.argv[1:]
url = f"https://localhost:{port}/"
for _ in range(100):
    try:
        socket.create_connection(("127.0.0.1", int(port))).close()
        break
    except ConnectionRefusedError:
        time.sleep(0.1)


def pieces() -> Iterator[bytes]:
    with open(f"{folder}/upload", "rb") as file:
        while block := file.read(65536):
            yield block


def told(result: str, begun: float) -> str:
    seconds = time.monotonic() - begun
    return f"{result} within a second" if seconds < 1 else f"{result} after {seconds:.0f} s"


def curl() -> str:
    begun = time.monotonic()
    options = ["--http2", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", f"{folder}/cert.pem", "-m", "20"]
    ran = subprocess.run(["curl", *options, "--data-binary", f"@{folder}/upload", url], capture_output=True, text=True)
    return told(ran.stdout, begun)


def ask(*, http2: bool, length: bool) -> str:
    context = ssl.create_default_context(cafile=f"{folder}/cert.pem")
    headers = {"Content-Length": "3000000"} if length else {}
    begun = time.monotonic()
    with httpx.Client(http2=http2, verify=context, trust_env=False, timeout=5) as client:
        try:
            return told(str(client.post(url, content=pieces(), headers=headers).status_code), begun)
        except httpx.TransportError as exc:
            return told(type(exc).__name__, begun)


refused = "413 within a second"
lines = (
    ("curl, HTTP/2, length announced", curl(), refused),
    ("httpx, HTTP/1.1, length announced", ask(http2=False, length=True), refused),
    ("httpx, HTTP/2, no length", ask(http2=True, length=False), refused),
    ("httpx, HTTP/2, length announced", ask(http2=True, length=True), "ReadTimeout after 5 s"),
)
for what, seen, _ in lines:
    print(f"{what:36} {seen}")
sys.exit(0 if all(seen == expected for _, seen, expected in lines) else 1)
PYTHON
