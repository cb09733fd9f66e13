from __future__ import annotations

import socket

import pytest
from pytest_socket import SocketConnectBlockedError


def test_tests_reach_this_machine_and_no_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
    elsewhere = socket.socket()
    with (
        pytest.warns(UserWarning, match="A test tried to use"),
        pytest.raises(SocketConnectBlockedError, match=r"192\.0\.2\.1"),
    ):
        elsewhere.connect(("192.0.2.1", 80))
