"""The gRPC server under a node, called as no client of ours would."""

from collections.abc import AsyncIterator

import pytest
from grpc import StatusCode, aio

from consilience._wire.errors import error_from_rpc
from consilience._wire.services import GET_NODE_CARD_METHOD
from consilience.asks import ASK_METHOD, CANCEL_METHOD, GET_METHOD, RESUME_METHOD
from consilience.errors import EnvelopeMalformedError
from consilience.server import Node

ANYWHERE = "127.0.0.1:0"
PATIENCE = 20.0


async def nothing() -> AsyncIterator[bytes]:
    return
    yield


@pytest.mark.parametrize("method", [GET_NODE_CARD_METHOD, ASK_METHOD, RESUME_METHOD, GET_METHOD, CANCEL_METHOD])
async def test_a_call_that_ends_without_a_message_is_refused(node: Node, method: str) -> None:
    async with (
        node.serving(ANYWHERE) as running,
        aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        call: aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{method}")
        with pytest.raises(aio.AioRpcError) as caught:
            async for _ in call(nothing(), timeout=PATIENCE):
                pass
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT
    assert isinstance(error_from_rpc(caught.value), EnvelopeMalformedError)
