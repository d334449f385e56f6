"""What is generated is fresh, carries no constraints, and the image that carries them can be checked with."""

from importlib.resources import files
from pathlib import Path

import protovalidate
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from consilience.v1 import envelope_pb2, error_reason_pb2
from scripts.generate import generate_into, generated_files
from scripts.machine_cache import ROOT


def _from_image(name: str) -> type[Message]:
    """Returns the class of a message of the descriptor image, which knows its constraints."""
    image = files("consilience_conformance") / "descriptors" / "consilience_v1.binpb"
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()).file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def test_generated_files_are_what_the_protos_give_today(tmp_path: Path) -> None:
    generate_into(tmp_path)
    fresh, committed = generated_files(tmp_path), generated_files(ROOT)
    stale = [name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)]
    assert not stale, f"run `make generate`; stale: {sorted(stale)}"


def test_a_generated_file_that_was_edited_is_noticed(tmp_path: Path) -> None:
    target = tmp_path / "sdk/src/consilience/v1/ask_pb2.py"
    target.parent.mkdir(parents=True)
    target.write_bytes((ROOT / "sdk/src/consilience/v1/ask_pb2.py").read_bytes() + b"\n")
    (name,) = generated_files(tmp_path)
    assert generated_files(tmp_path)[name] != generated_files(ROOT)[name]


def test_python_of_the_wire_needs_no_constraint_module() -> None:
    dependencies = {file.name for file in envelope_pb2.DESCRIPTOR.dependencies}
    assert dependencies == {"google/protobuf/any.proto", "google/protobuf/timestamp.proto"}
    fields = envelope_pb2.CallHeader.DESCRIPTOR.fields
    assert not any(field.has_options for field in fields)


def test_options_of_our_own_stay_in_the_python_of_the_wire() -> None:
    reason = error_reason_pb2.ErrorReason.DESCRIPTOR.values_by_name["ERROR_REASON_CALL_EXPIRED"]
    assert reason.GetOptions().Extensions[error_reason_pb2.detail_message] == "consilience.v1.ServerTime"


def test_image_keeps_the_constraints() -> None:
    header = _from_image("consilience.v1.CallHeader")()
    assert protovalidate.collect_violations(header)
    anew = protovalidate.Validator()  # one knows a message by its name, and this name is the same
    assert not anew.collect_violations(envelope_pb2.CallHeader())


def test_image_keeps_the_comments_of_our_protos_alone() -> None:
    image = files("consilience_conformance") / "descriptors" / "consilience_v1.binpb"
    described = descriptor_pb2.FileDescriptorSet.FromString(image.read_bytes()).file
    commented = {file.name for file in described if file.HasField("source_code_info")}
    assert commented == {file.name for file in described if file.package == "consilience.v1"}
