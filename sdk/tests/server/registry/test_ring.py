"""Once round the ring from anywhere, every place is passed, and each once."""

from hypothesis import given
from hypothesis import strategies as st

from consilience.server.registry import ring
from consilience.server.registry.ring import END, Arc

PLACES = st.integers(min_value=1, max_value=END)


@given(start=PLACES, stops=st.lists(PLACES, max_size=3), place=PLACES)
def test_every_place_is_passed_once_however_often_the_way_is_broken(start: int, stops: list[int], place: int) -> None:
    passed, passes = start, 0
    arcs = ring.round_from(start, passed=start)
    for stop in [*stops, None]:
        for arc in arcs:
            on_the_way = stop is not None and arc.after < stop < arc.until
            passed = stop if on_the_way and stop is not None else arc.until
            passes += arc.after < place <= passed
            if on_the_way:
                break
        else:
            break
        arcs = ring.round_from(start, passed=passed)
    else:
        raise AssertionError("the last way is not broken")
    assert passes == 1


def test_a_way_that_came_to_the_end_goes_on_at_the_beginning() -> None:
    assert ring.round_from(5, passed=END) == (Arc(after=END), Arc(until=5))
    assert ring.round_from(5, passed=0) == (Arc(until=5),)


@given(node_id=st.binary(min_size=32, max_size=32))
def test_nodes_stand_in_the_order_of_their_ids(node_id: bytes) -> None:
    assert 1 <= ring.place_on_ring(node_id) <= END
    assert ring.place_on_ring(bytes(32)) <= ring.place_on_ring(node_id) <= ring.place_on_ring(b"\xff" * 32)


@given(places=st.lists(PLACES, max_size=3))
def test_places_are_read_as_they_were_written(places: list[int]) -> None:
    assert ring.from_bytes(ring.to_bytes(*places)) == tuple(places)
