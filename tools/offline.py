"""Run a command with the network cut off: `python -m tools.offline COMMAND …` (Linux).

The command gets a network of its own (a Linux network namespace) in which only the loopback device is up, so
that Jupyter can talk to its kernels and nothing else answers. Needs `unshare` from util-linux and a system that
lets ordinary users make namespaces; where it does not, `available()` says why.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys

SET_FLAGS, UP = 0x8914, 0x1  # SIOCSIFFLAGS and IFF_UP of Linux's <net/if.h>
INSIDE = "COURSE_NETWORK_IS_CUT"


def wrapped(command: list[str]) -> list[str]:
    """The command line that runs `command` without a network."""
    return ["unshare", "--map-root-user", "--net", sys.executable, "-m", "tools.offline", "--inside", *command]


def available() -> str:
    """An empty text if the network can be cut here, else the reason why not."""
    if shutil.which("unshare") is None:
        return "there is no `unshare` on this system"
    probe = subprocess.run(["unshare", "--map-root-user", "--net", "true"], capture_output=True, text=True)
    return "" if probe.returncode == 0 else f"this system does not allow it ({probe.stderr.strip()})"


def raise_loopback() -> None:
    """Switch on the loopback device of the present namespace (what `ip link set lo up` does)."""
    import fcntl
    import socket

    with socket.socket() as handle:
        fcntl.ioctl(handle, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))


def main() -> int:
    """The command; returns its exit status."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["--inside"]:
        raise_loopback()
        os.environ[INSIDE] = "1"
        os.execvp(arguments[1], arguments[1:])
    if not arguments:
        print("Error: name the command to run without a network.", file=sys.stderr)
        return 1
    if reason := available():
        print(f"Error: the network cannot be cut off: {reason}.", file=sys.stderr)
        return 1
    return subprocess.run(wrapped(arguments)).returncode


if __name__ == "__main__":
    sys.exit(main())
