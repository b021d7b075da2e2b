"""Network namespaces, one for each node of a cluster, on a bridge of this machine: any of them can be cut off.

Needs root and iproute2. Names carry the pid of their maker; what a killed run left behind, the next one removes.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_NAME = re.compile(r"sk(\d+)n\d+")


class NoNamespaces(Exception):
    """Network namespaces cannot be made here."""


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise NoNamespaces(f"`ip {' '.join(words)}`: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Namespaces:
    """count hosts: namespace names[i] has the address hosts[i], reachable from here and from the others."""

    names: tuple[str, ...]
    hosts: tuple[str, ...]

    def inside(self, place: int) -> list[str]:
        """Words before a command that runs in a namespace and ends with this process."""
        tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        return ["ip", "netns", "exec", self.names[place], *tied]

    def cut(self, place: int) -> None:
        """From now on nothing comes in or goes out, and nobody is told."""
        _ip("link", "set", f"{self.names[place]}h", "down")

    def heal(self, place: int) -> None:
        """Undoes cut."""
        _ip("link", "set", f"{self.names[place]}h", "up")


def _remove_stale() -> None:
    for line in _ip("netns", "list").splitlines():
        found = _NAME.match(line)
        if found is not None and not Path(f"/proc/{found[1]}").exists():
            _ip("netns", "delete", found[0])
            subprocess.run(["ip", "link", "delete", f"sk{found[1]}b"], capture_output=True)


@contextmanager
def namespaces(count: int) -> Iterator[Namespaces]:
    """So many namespaces inside the block. Raises NoNamespaces where they cannot be made."""
    if os.geteuid() != 0:
        raise NoNamespaces("only root can make them")
    if shutil.which("ip") is None:
        raise NoNamespaces("`ip` is not on PATH")
    _remove_stale()
    me = os.getpid()
    bridge = f"sk{me}b"
    net = f"10.{200 + me // 250 % 50}.{me % 250}"
    made = Namespaces(
        tuple(f"sk{me}n{place}" for place in range(count)),
        tuple(f"{net}.{place + 1}" for place in range(count)),
    )
    try:
        _ip("link", "add", bridge, "type", "bridge")
        _ip("address", "add", f"{net}.254/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for name, host in zip(made.names, made.hosts, strict=True):
            _ip("netns", "add", name)
            _ip("link", "add", f"{name}h", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"{name}h", "master", bridge, "up")
            _ip("-n", name, "address", "add", f"{host}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield made
    finally:
        for name in made.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
            subprocess.run(["ip", "link", "delete", f"{name}h"], capture_output=True)
        subprocess.run(["ip", "link", "delete", bridge], capture_output=True)
