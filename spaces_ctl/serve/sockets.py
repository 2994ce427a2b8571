"""The HTTP socket: bound before anything else, so that a taken port is told at once; listening when all is ready."""

from __future__ import annotations

import errno
import ipaddress
import socket

from spaces_ctl.serve.errors import PortTaken

__all__ = ["bind_tcp", "listening", "why"]

_BACKLOG = 2048


def bind_tcp(address: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet: until then connections are refused. Raises PortTaken."""
    six = ipaddress.ip_address(address).version == 6
    bound = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
    # A server that was stopped a moment ago must not keep the port. Against one that listens this changes nothing.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if six:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        bound.bind((address, port))
    except OSError as error:
        bound.close()
        raise PortTaken(f"HTTP cannot listen on {address} port {port} (TCP): {why(error, 'http')}") from error
    return bound


def listening(bound: socket.socket) -> socket.socket:
    """The socket, listening, for one event loop: a loop closes its own when it ends, the one given stays."""
    address = bound.getsockname()
    try:
        bound.listen(_BACKLOG)
    except OSError as error:
        raise PortTaken(f"HTTP cannot listen on {address[0]} port {address[1]} (TCP): {why(error, 'http')}") from error
    return bound.dup()


def why(error: OSError, section: str) -> str:
    """What is wrong with an address, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"the port is in use; stop who has it or set {section}.port"
    if error.errno == errno.EACCES:
        return f"not allowed (ports below 1024 need CAP_NET_BIND_SERVICE); or set {section}.port"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no such address; set {section}.bind"
    return error.strerror or str(error)
