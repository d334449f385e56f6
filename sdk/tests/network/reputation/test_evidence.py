from dataclasses import replace

import pytest

from sdk.tests.network.reputation.scenes import NOW, judged


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"judge": b"short"}, "32 bytes"),
        ({"subject": b""}, "32 bytes"),
        ({"score_milli": 1001}, "0 to 1000 thousandths, not 1001"),
        ({"score_milli": -1}, "0 to 1000 thousandths, not -1"),
        ({"time": NOW.replace(tzinfo=None)}, "aware"),
        ({"paid_bucket": -1}, "bucket"),
    ],
)
def test_evidence_that_cannot_be_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(judged("me"), **change)  # type: ignore[arg-type]
