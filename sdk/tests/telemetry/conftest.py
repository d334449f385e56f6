import pytest

from sdk.tests.telemetry.span_recordings import SpanRecording


@pytest.fixture
def recording() -> SpanRecording:
    return SpanRecording()
