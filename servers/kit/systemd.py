"""What a server says to systemd and takes from it; everything is a no-op elsewhere."""

import os
import socket

from servers.kit.settings import SystemdSettings

FIRST_LISTEN_FD = 3


class Notifier:
    """Sends states to systemd's notification socket (sd_notify(3))."""

    def __init__(self, settings: SystemdSettings) -> None:
        self._address = settings.notify_socket
        for_us = settings.watchdog_pid in (None, os.getpid())
        watched = settings.watchdog_usec is not None and for_us and self._address is not None
        self.watchdog_s = (settings.watchdog_usec or 0) / 1e6 if watched else None

    def send(self, state: str) -> None:
        if self._address is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(state.encode(), address)


def activation_socket(settings: SystemdSettings) -> socket.socket | None:
    """The listening socket systemd opened for this process, if any.

    Raises OSError when there is more than one: a server listens once.
    """
    if settings.listen_pid != os.getpid() or settings.listen_fds < 1:
        return None
    if settings.listen_fds > 1:
        raise OSError(f"LISTEN_FDS is {settings.listen_fds}: a server takes one socket")
    listener = socket.socket(fileno=FIRST_LISTEN_FD)
    listener.set_inheritable(False)
    return listener
