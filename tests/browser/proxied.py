"""The center as in production: the sample configuration of docs/examples in a real nginx, the web role behind it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hearthline_cloud.config import CloudConfig, WebConfig
from hearthline_cloud.identity import authority as ca
from servers import HOST, Server, find_binary, free_ports
from web.client import Client
from web.seeding import Center

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "nginx.conf"
NAME = "localhost"


@dataclass
class Proxied(Center):
    """A center that is reached at `outside`, by TLS."""

    ports: list[int] = field(default_factory=lambda: free_ports(2))

    @property
    def config(self) -> CloudConfig:
        web = WebConfig(
            port=self.port, secure_cookies=True, trusted_proxies=[HOST], public_url=f"https://{NAME}:{self.ports[0]}"
        )
        return CloudConfig(data_dir=str(self.folder), web=web)

    @property
    def outside(self) -> str:
        return f"https://{NAME}:{self.ports[0]}"

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.folder / "pki" / "root.crt")

    @property
    def log(self) -> str:
        return (self.folder / "access.log").read_text(encoding="utf-8")


@contextmanager
def behind_nginx(center: Proxied, **timeouts: str) -> Iterator[Server]:
    """`timeouts`: other values of directives, so that a test need not wait for the usual ones."""
    folder = center.folder
    certify(folder)
    text = adapted(EXAMPLE.read_text(encoding="utf-8"), center, folder)
    for directive, value in timeouts.items():
        text, found = re.subn(rf"(\b{directive}\s+)[^;]+;", rf"\g<1>{value};", text)
        assert found, directive
    (folder / "site.conf").write_text(text, encoding="utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    own = f"user root;\nworker_processes 1;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\ndaemon off;\n"
    own += f"events {{ worker_connections 512; }}\nhttp {{\n{temporary}\ninclude {folder}/site.conf;\n}}\n"
    (folder / "nginx.conf").write_text(own, encoding="utf-8")
    command = [find_binary("nginx"), "-p", f"{folder}", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
    server = Server("nginx", command, center.ports[0], folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def certify(folder: Path) -> None:
    """A certificate of an authority of its own."""
    now = ca.utc_now()
    ca.make_root(folder / "root", "Test", now)
    ca.make_issuing(folder / "pki", folder / "root", "Test", now)
    made, key = ca.Authority(folder / "pki", now).issue_server([NAME, HOST], now)
    ca.write_secret(folder / "center.key", key)
    ca.write_public(folder / "center.crt", made.pem)


def adapted(text: str, center: Proxied, folder: Path) -> str:
    """The example with this center's ports, names and places; every one of them must be in it."""
    https, http = center.ports
    for old, new in (
        ("listen 443 ssl http2;", f"listen {HOST}:{https} ssl http2;"),
        ("listen 80;", f"listen {HOST}:{http};"),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("    listen [::]:80;\n", ""),
        ("127.0.0.1:8080", f"{HOST}:{center.port}"),
        ("server_name center.example.org", f"server_name {NAME}"),
        ("/etc/hearthline/tls/center", f"{folder}/center"),
        ("/var/log/nginx/hearthline.log", f"{folder}/access.log"),
        ("/var/log/nginx/hearthline-error.log", f"{folder}/site-error.log"),
        ("https://$host$request_uri", f"https://$host:{https}$request_uri"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


def machine(center: Proxied, name: str = "") -> Client:
    """A client from outside, over HTTP/1.1."""
    client = Client(center.outside, center.trust)
    if name:
        client.token = center.client(name).token
    return client
