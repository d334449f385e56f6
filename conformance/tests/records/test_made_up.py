"""What the judge makes up keeps the rules, by another reading of them than its own: that of the SDK."""

from __future__ import annotations

from datetime import UTC, datetime

import protovalidate
import pytest

from consilience._wire import records as wire
from consilience.errors import RefusedError
from consilience.reviews import place_of
from consilience_conformance.image import message_class
from consilience_conformance.records.forgeries import FORGERIES, Forgery
from consilience_conformance.records.kinds import KINDS, Cast, Kind
from consilience_conformance.records.made_up import LONGEST, MadeUpNode, name_of

EACH_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.word)


@EACH_KIND
def test_a_made_up_record_is_admitted(kind: Kind) -> None:
    cast, now = Cast.new(), datetime.now(UTC)
    record = kind.record(cast)
    opened = wire.open_record(wire.from_message(record))
    place = place_of(opened, now=now)
    assert place.author == kind.signs(cast).key
    assert opened.digest == name_of(record)
    is_for_ever = kind.word == "succession"
    assert is_for_ever or place.end - now < LONGEST / 100


@EACH_KIND
def test_a_full_record_keeps_the_declared_rules(kind: Kind) -> None:
    message = (kind.full or kind.make)(Cast.new())
    read = message_class(kind.payload_type).FromString(message.SerializeToString())
    assert protovalidate.collect_violations(read) == []


@EACH_KIND
def test_those_beside_compete_for_another_slot(kind: Kind) -> None:
    cast, now = Cast.new(), datetime.now(UTC)
    places = [
        place_of(wire.open_record(wire.from_message(kind.record(one))), now=now) for one in (cast, kind.beside(cast))
    ]
    assert kind.word == "card" or places[0].slot != places[1].slot


def test_people_are_made_up_anew_each_time() -> None:
    assert MadeUpNode.new().node_id != MadeUpNode.new().node_id


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forgery_is_refused_for_its_reason(forgery: Forgery) -> None:
    cast, (kind,) = Cast.new(), [one for one in KINDS if one.word == "advisory"]
    forged = forgery.forge(kind.make(cast), kind.signs(cast), "author")
    record = kind.record(cast)
    record.object.CopyFrom(forged)
    with pytest.raises(RefusedError) as caught:
        wire.open_record(wire.from_message(record))
    assert caught.value.reason == forgery.reason
