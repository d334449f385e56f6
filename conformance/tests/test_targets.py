"""Targets: what is no address, or no node, is told by what is wrong with it."""

from __future__ import annotations

import asyncio

import pytest

from consilience_conformance.targets import AddressError, UnreachableError, reach


@pytest.mark.parametrize("port", ["0", "65536", "99999", "9" * 30])
async def test_a_port_that_there_cannot_be_is_an_error_of_the_address(port: str) -> None:
    with pytest.raises(AddressError, match="a port is a number from 1 to 65535"):
        await reach(f"127.0.0.1:{port}")


@pytest.mark.parametrize(("scheme", "words"), [("", "no gRPC answers at"), ("https://", "speaks no TLS: write 127")])
async def test_a_port_that_speaks_something_else_is_told_by_what_it_does_not_speak(*, scheme: str, words: str) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UnreachableError, match=words):
            await reach(f"{scheme}127.0.0.1:{port}")
