"""Silence is counted once, however many calls bear it at one time."""

from consilience_conformance.silence import Silence


def test_silence_that_several_calls_bear_at_one_time_counts_once() -> None:
    silence = Silence()
    silence.borne(0.0, 4.0)
    silence.borne(1.0, 4.0)
    silence.borne(3.0, 5.0)
    silence.borne(7.0, 8.0)
    assert silence.seconds == 6.0


def test_the_run_hears_of_the_silence_of_each_check() -> None:
    run = Silence()
    one, other = Silence(within=run), Silence(within=run)
    one.borne(0.0, 2.0)
    other.borne(1.0, 3.0)
    assert (one.seconds, other.seconds, run.seconds) == (2.0, 2.0, 3.0)
