"""The constraints that the protos declare, from the descriptor image: what value types are held against."""

import functools
import importlib.resources
from typing import Any

import protovalidate
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    image = importlib.resources.files("consilience_conformance") / "descriptors" / "consilience_v1.binpb"
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()).file:
        pool.Add(file)
    return pool


def declared_type(name: str) -> type[Any]:
    """Returns a message type of `consilience.v1` with its declared constraints."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"consilience.v1.{name}"))


def broken_rules(message: Message) -> list[str]:
    """Returns the ids of the rules that a message breaks."""
    copy = declared_type(message.DESCRIPTOR.name).FromString(message.SerializeToString())
    return [str(violation.proto.rule_id) for violation in protovalidate.collect_violations(copy)]


def constrained_fields(name: str) -> set[str]:
    """Returns the names of all fields and oneofs with a constraint, of a message and of what it holds."""
    return set(_constrained(declared_type(name).DESCRIPTOR, seen=set()))


def _constrained(descriptor: Descriptor, *, seen: set[str]) -> list[str]:
    if descriptor.full_name in seen or not descriptor.full_name.startswith("consilience."):
        return []
    seen.add(descriptor.full_name)
    found = []
    for field in descriptor.fields:
        if field.GetOptions().ListFields():
            found.append(field.name)
        if field.message_type is not None:
            found += _constrained(field.message_type, seen=seen)
    found += [oneof.name for oneof in descriptor.oneofs if oneof.GetOptions().ListFields()]
    return found
