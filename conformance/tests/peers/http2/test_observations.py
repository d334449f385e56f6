from __future__ import annotations

import base64

import pytest

from consilience_conformance.peers.http2 import GrpcStatus, Observation, StreamEnd


def ended_with(*trailers: tuple[str, str]) -> Observation:
    return Observation(stream_id=1, end=StreamEnd.TRAILERS, headers=((":status", "200"),), trailers=trailers)


def test_a_status_is_decoded_with_its_message_and_details() -> None:
    details = base64.b64encode(b"\x08\x03\xff").decode().rstrip("=")
    observed = ended_with(
        ("grpc-status", "3"), ("grpc-message", "na%C3%AFve 100%25"), ("grpc-status-details-bin", details)
    )
    assert observed.http_status == 200
    assert observed.status == GrpcStatus(code=3, message="naïve 100%", details=b"\x08\x03\xff")


@pytest.mark.parametrize("code", ["", "three", "-1", "٣"])
def test_a_status_that_is_no_number_is_none(code: str) -> None:
    assert ended_with(("grpc-status", code)).status is None


def test_details_that_are_no_base64_are_left_in_the_trailers() -> None:
    observed = ended_with(("grpc-status", "3"), ("grpc-status-details-bin", "***"))
    assert observed.status == GrpcStatus(code=3)
    assert ("grpc-status-details-bin", "***") in observed.trailers


def test_a_stream_without_headers_has_no_status() -> None:
    observed = Observation(stream_id=1, end=StreamEnd.RESET, error_code=8)
    assert observed.status is None
    assert observed.http_status is None
