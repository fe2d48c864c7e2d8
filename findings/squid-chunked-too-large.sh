#!/usr/bin/env bash
# Squid 5.7 (Debian 12, 5.7-2+deb12u6), Linux, amd64; 2026-11-30
#
# Behaviour: `request_body_max_size` has two endings. A request that announces its length (Content-Length) above the
# limit is answered at once with 413. One without a length (Transfer-Encoding: chunked) is passed on to the server
# until the limit is reached; then the client's connection is reset without any answer, not even a status line, and the
# server is left with a body that breaks off. To a client this looks like a network that failed, which it may try again
# for ever.
#
# The guess that missed: the client has not finished sending, so the proxy can still answer 413 and close, as nginx and
# lighttpd do for chunked bodies.
#
# Seen:
#   length announced, 1.2 MB    HTTP/1.1 413 Payload Too Large
#   chunked, 0.5 MB             HTTP/1.1 200 OK
#   chunked, 1.2 MB             no answer; the server saw: began, then broke off
set -euo pipefail

folder=$(mktemp -d)
squid=
trap '[ -z "$squid" ] || kill "$squid" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
(
    cd "$folder"
    apt-get download -qq squid=5.7-2+deb12u6 squid-common=5.7-2+deb12u6 \
        squid-langpack=20220130-1 libecap3=1.0.1-3.4 libltdl7=2.4.7-7~deb12u1 \
        libnetfilter-conntrack3=1.0.9-3 libnfnetlink0=1.0.2-2 2>/dev/null
    for package in *.deb; do dpkg -x "$package" root; done
) || { echo "the packages cannot be had here: this needs Debian 12 on amd64"; exit 2; }
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
proxy=$(port)
# Started by root it goes on as a user who must get there.
chmod 755 "$folder" && mkdir -m 777 "$folder/var"
cat >"$folder/squid.conf" <<EOF
http_port 127.0.0.1:$proxy
http_access allow all
request_body_max_size 1 MB
cache deny all
access_log none
cache_log $folder/var/squid.log
pid_filename $folder/var/squid.pid
coredump_dir $folder/var
cache_effective_user nobody
error_directory $folder/root/usr/share/squid/errors/templates
icon_directory $folder/root/usr/share/squid/icons
mime_table $folder/root/usr/share/squid/mime.conf
unlinkd_program $folder/root/usr/lib/squid/unlinkd
pinger_enable off
shutdown_lifetime 0 seconds
EOF
LD_LIBRARY_PATH=$(dirname "$(find "$folder/root/usr/lib" -name 'libecap.so.3')") \
    "$folder/root/usr/sbin/squid" -N -n "finding$$" -f "$folder/squid.conf" >"$folder/out.log" 2>&1 &
squid=$!

python3 - "$proxy" <<'PYTHON'
import socket
import sys
import threading
import time

proxy = ("127.0.0.1", int(sys.argv[1]))
server = socket.create_server(("127.0.0.1", 0))
address = f"127.0.0.1:{server.getsockname()[1]}"
saw: list[str] = []


def serve() -> None:
    while True:
        connection, _ = server.accept()
        received = b""
        while not received.endswith(b"\r\n0\r\n\r\n"):
            block = connection.recv(65536)
            if not block:
                break
            received += block
        whole = received.endswith(b"\r\n0\r\n\r\n")
        saw.append("whole" if whole else "began, then broke off" if received else "nothing")
        if whole:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.close()


threading.Thread(target=serve, daemon=True).start()
for _ in range(100):
    try:
        socket.create_connection(proxy).close()
        break
    except ConnectionRefusedError:
        time.sleep(0.1)


def ask(framing: str, body: list[bytes]) -> str:
    with socket.create_connection(proxy, 10) as connection:
        head = f"POST http://{address}/ HTTP/1.1\r\nHost: {address}\r\n{framing}\r\n\r\n"
        answer = b""
        try:
            connection.sendall(head.encode())
            for block in body:
                connection.sendall(block)
                time.sleep(0.005)  # so that an answer sent meanwhile would arrive
        except OSError:
            pass
        try:
            answer = connection.recv(4096)
        except OSError:
            pass
    return answer.split(b"\r\n")[0].decode() or "no answer"


def chunks(size: int) -> list[bytes]:
    block = b"4000\r\n" + bytes(0x4000) + b"\r\n"
    return [block] * (size // 0x4000) + [b"0\r\n\r\n"]


announced = ask("Content-Length: 1200000", [])
small = ask("Transfer-Encoding: chunked", chunks(500_000))
saw.clear()
large = ask("Transfer-Encoding: chunked", chunks(1_200_000))
time.sleep(0.5)
print(f"length announced, 1.2 MB    {announced}")
print(f"chunked, 0.5 MB             {small}")
print(f"chunked, 1.2 MB             {large}; the server saw: {', '.join(saw)}")
as_stated = (
    announced == "HTTP/1.1 413 Payload Too Large"
    and small == "HTTP/1.1 200 OK"
    and large == "no answer"
    and saw == ["began, then broke off"]
)
sys.exit(0 if as_stated else 1)
PYTHON
