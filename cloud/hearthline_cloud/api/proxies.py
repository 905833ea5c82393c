"""Whose address a request has behind a reverse proxy: each hop appends whom it saw; read from the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


class Proxies:
    """The reverse proxies whose `X-Forwarded-For` is believed, as addresses or networks."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """Raises ValueError for what is neither."""
        self._trusted: list[IPv4Network | IPv6Network] = [ip_network(each) for each in trusted]

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """The last address that no trusted proxy has; the peer's own when it is not trusted itself."""
        address = peer
        hops = [hop.strip() for line in forwarded for hop in line.split(",")]
        while self._trusts(address) and hops:
            hop = _address(hops.pop())
            if hop is None:
                return address
            address = str(hop)
        return address

    def _trusts(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._trusted)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
