"""The descriptor image of the wire: the protos with what generated code leaves out, comments and constraints.

>>> message_class("consilience.v1.CallHeader").DESCRIPTOR.name
'CallHeader'
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message


@cache
def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    """Returns the files of the image; not to be changed."""
    image = files("consilience_conformance") / "descriptors" / "consilience_v1.binpb"
    return descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes())


@cache
def pool() -> descriptor_pool.DescriptorPool:
    """Returns a pool that holds the files of the image and nothing else."""
    own = descriptor_pool.DescriptorPool()
    for file in descriptor_set().file:
        own.Add(file)
    return own


def message_class(full_name: str) -> type[Message]:
    """Returns the class of a message, whose descriptor knows its constraints.

    Args:
        full_name: `consilience.v1.NodeCard`.

    Raises:
        KeyError: The image has no such message.
    """
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(full_name))
