"""Where a server of others may be: in public networks, and at the address that was checked.

The name is looked up by us, every address it has is judged, and the connection goes to one of these
very addresses: a name cannot point elsewhere between the check and the connection.
"""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import httpx2

from orchestrator.tools.failures import ExchangeFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, for a port. Raises OSError or UnicodeError when it has none."""

_LOCAL_NAMES = ("localhost", "local", "internal", "home.arpa")
"""Names that mean this machine or this network, with all below them."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}
_REMEDY = "FLOTILLA_PRIVATE_SERVER_HOSTS lists the hosts of your own network that may be used"


async def look_up(host: str, port: int) -> list[str]:
    """Ask the system's resolver, in a thread of its own.

    The threads that the event loop keeps are few, and a name server that hangs would take all.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(addresses: list[str], error: Exception | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(addresses)

    def ask() -> None:
        addresses: list[str] = []
        failure: OSError | UnicodeError | None = None
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        except (OSError, UnicodeError) as error:  # a name that cannot be asked for, too
            failure = error
        with suppress(RuntimeError):  # The loop has closed, so nobody waits any more.
            loop.call_soon_threadsafe(settle, addresses, failure)

    threading.Thread(target=ask, name=f"look up {host}", daemon=True).start()
    return await answer


class AddressRule:
    """Judges the addresses of servers of others; `private_hosts` are allowed whatever they are."""

    def __init__(self, private_hosts: Collection[str] = (), resolve: Resolver = look_up) -> None:
        self._private_hosts = frozenset(map(_plain, private_hosts))
        self._resolve = resolve

    def refusal(self, url: str) -> str | None:
        """Return why a URL is refused as it is written, None when it may be tried."""
        host = _plain(urlsplit(url).hostname or "")
        if host in self._private_hosts:
            return None
        address = _literal(host)
        if address is not None:
            return None if _is_public(address) else f"{host} is no public address; {_REMEDY}"
        if any(host == name or host.endswith(f".{name}") for name in _LOCAL_NAMES):
            return f"{host} is in your own network; {_REMEDY}"
        return None

    def is_abroad(self, url: str) -> bool:
        """Tell whether a URL is written as one beyond the own network; short names are within."""
        host = _plain(urlsplit(url).hostname or "")
        has_domain = "." in host or ":" in host
        return has_domain and host not in self._private_hosts and self.refusal(url) is None

    async def addresses_of(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses to connect to, in this order. Raises ExchangeFailed."""
        plain = _plain(host)
        try:
            found = await self._resolve(plain, port)
        except (OSError, UnicodeError) as error:
            raise ExchangeFailed("refused", f"the name {plain} cannot be found") from error
        private = [text for text in found if not _is_public_text(text)]
        if private and plain not in self._private_hosts:
            raise ExchangeFailed(
                "refused", f"{plain} leads to {private[0]}, which is no public address; {_REMEDY}"
            )
        return found


class CheckedTransport(httpx2.AsyncBaseTransport):
    """Connects only to addresses that the rule lets through; one host, asked for once."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, rule: AddressRule) -> None:
        self._inner = inner
        self._rule = rule
        self._addresses: Sequence[str] = ()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send to the first address that takes the connection. Raises ExchangeFailed."""
        url, host = request.url, request.url.host
        if not self._addresses:
            port = url.port or _PORTS[url.scheme]
            self._addresses = await self._rule.addresses_of(host, port)
        # The certificate must be for the name, and so must the Host header, which is set already.
        request.extensions = {**request.extensions, "sni_hostname": host}
        *others, last = self._addresses
        for address in others:
            request.url = url.copy_with(host=address)
            try:
                return await self._inner.handle_async_request(request)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        request.url = url.copy_with(host=last)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _literal(host: str) -> Address | None:
    """Return the address that a host is written as, in any form that the system understands."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _is_public_text(text: str) -> bool:
    address = _literal(text)
    return address is not None and _is_public(address)


def _is_public(address: Address) -> bool:
    """Tell whether an address is of the public internet, and so is the one it may carry inside."""
    inner = _inner(address)
    is_plain = address.is_global and not (address.is_multicast or address.is_reserved)
    return _is_public(inner) if inner is not None else is_plain


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
