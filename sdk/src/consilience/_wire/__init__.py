"""The wire: the only room that knows protobuf messages.

Value types go in and out; whatever is translated between them and `consilience.v1` is translated here. Internal: no
name of this package is part of the public API.
"""
