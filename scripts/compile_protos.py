"""Compiles the protos with the compiler of the environment this module runs in; `scripts.generate` starts it there.

The constraints (`buf.validate` options) are taken off the descriptors before Python is made of them, because users do
not have the module they come from. They are kept in the descriptor image, which tests and the judge read.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_PROTOS = Path("proto")
_CONSTRAINTS = "buf/validate/validate.proto"
_CONSTRAINTS_PACKAGE = "buf.validate."
_DEPENDENCY_FIELD = descriptor_pb2.FileDescriptorProto.DEPENDENCY_FIELD_NUMBER
_DISTRIBUTIONS = {"consilience": "sdk/src", "consilience_conformance": "conformance/src"}
_IMAGES = "conformance/src/consilience_conformance/descriptors"
_PACKAGE_DOCSTRING = '''"""The wire messages and services of `{package}`, generated from `proto/{path}`.

Import the module of the noun you need, `from {package} import {example}`; this package imports none of them.
"""
'''


def compile_protos(out: Path) -> None:
    """Writes Python modules, their stubs and the descriptor images of all packages of ours.

    Args:
        out: Folder with the layout of the repository.

    Raises:
        subprocess.CalledProcessError: A proto does not compile.
    """
    for package, target in _DISTRIBUTIONS.items():
        sources = sorted(str(file.relative_to(_PROTOS)) for file in (_PROTOS / package).rglob("*.proto"))
        if not sources:
            continue
        image = _compiled(sources)
        _write_python(_without_constraints(image), names=sources, out=out / target)
        _write_package_docstrings(sources, out=out / target)
        image_file = out / _IMAGES / f"{package}_v1.binpb"
        image_file.parent.mkdir(parents=True, exist_ok=True)
        image_file.write_bytes(_comments_of_ours_only(image, ours=sources).SerializeToString(deterministic=True))
    _write_python(_compiled([_CONSTRAINTS]), names=[_CONSTRAINTS], out=out / "conformance/src")


def _protoc(*arguments: str | Path) -> None:
    """Runs the compiler with its stub plugins; what it says goes to stderr."""
    scripts = Path(sys.executable).parent
    plugins = [f"--plugin=protoc-gen-{name}={scripts / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", *plugins, *map(str, arguments)]
    # The stub plugin brings generated code of its own, one major version older, and its runtime would say so each time.
    subprocess.run(command, check=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})


def _compiled(sources: Sequence[str]) -> descriptor_pb2.FileDescriptorSet:
    """Returns the descriptors of sources and of all they import, with comments."""
    with tempfile.TemporaryDirectory() as scratch:
        image_file = Path(scratch) / "image.binpb"
        include = files("grpc_tools") / "_proto"
        options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={image_file}"]
        _protoc(f"-I{_PROTOS}", f"-I{include}", *options, *sources)
        return descriptor_pb2.FileDescriptorSet.FromString(image_file.read_bytes())


def _write_python(image: descriptor_pb2.FileDescriptorSet, *, names: Sequence[str], out: Path) -> None:
    """Writes the modules and stubs of files of an image; service modules only where there is a service."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        image_file = Path(scratch) / "image.binpb"
        image_file.write_bytes(image.SerializeToString(deterministic=True))
        read = f"--descriptor_set_in={image_file}"
        _protoc(read, f"--python_out={out}", f"--mypy_out=quiet:{out}", *names)
        services = [file.name for file in image.file if file.service and file.name in names]
        if services:
            _protoc(read, f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", *services)


def _write_package_docstrings(sources: Iterable[str], *, out: Path) -> None:
    """Writes the `__init__.py` of each generated package."""
    for path in sorted({Path(source).parent for source in sources}):
        example = min(Path(source).stem for source in sources if Path(source).parent == path) + "_pb2"
        text = _PACKAGE_DOCSTRING.format(package=path.as_posix().replace("/", "."), path=path, example=example)
        (out / path / "__init__.py").write_text(text)


def _comments_of_ours_only(
    image: descriptor_pb2.FileDescriptorSet, *, ours: Sequence[str]
) -> descriptor_pb2.FileDescriptorSet:
    """Returns a copy in which vendored files have no comments: they are not ours to read from there."""
    copy = descriptor_pb2.FileDescriptorSet()
    copy.CopyFrom(image)
    for file in copy.file:
        if file.name not in ours:
            file.ClearField("source_code_info")
    return copy


def _without_constraints(image: descriptor_pb2.FileDescriptorSet) -> descriptor_pb2.FileDescriptorSet:
    """Returns a copy without the constraints and without the import of the file that declares them.

    The image is parsed again by classes made from itself: only they know which bytes of an option belong to
    `buf.validate`, so options that another extension set stay.
    """
    pool = descriptor_pool.DescriptorPool()
    for file in image.file:
        pool.Add(file)
    known = message_factory.GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FileDescriptorSet"))
    copy = known.FromString(image.SerializeToString(deterministic=True))
    _clear_constraints(copy)
    bare = descriptor_pb2.FileDescriptorSet.FromString(copy.SerializeToString(deterministic=True))
    for file in bare.file:
        _drop_import(file, name=_CONSTRAINTS)
    return bare


def _clear_constraints(message: Message) -> None:
    """Takes every option that `buf.validate` declares off a descriptor and all that it contains, in place."""
    for field, value in message.ListFields():
        if field.is_extension:
            if field.full_name.startswith(_CONSTRAINTS_PACKAGE):
                message.ClearExtension(cast("Any", field))  # typed for the extensions of generated classes alone
        elif field.message_type is not None:
            for child in value if field.is_repeated else (value,):
                _clear_constraints(child)
            if field.name == "options" and not value.ListFields():
                message.ClearField("options")


def _drop_import(file: descriptor_pb2.FileDescriptorProto, *, name: str) -> None:
    """Takes one import out of a file, in place; its comments stay with the imports that remain."""
    if name not in file.dependency:
        return
    dropped = list(file.dependency).index(name)
    del file.dependency[dropped]
    locations = file.source_code_info.location
    kept = [location for location in locations if list(location.path) != [_DEPENDENCY_FIELD, dropped]]
    for location in kept:
        if location.path[:1] == [_DEPENDENCY_FIELD] and location.path[1] > dropped:
            location.path[1] -= 1
    del locations[:]
    locations.extend(kept)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Compile the protos below a folder.")
    parser.add_argument("out", type=Path)
    compile_protos(parser.parse_args().out)


if __name__ == "__main__":
    main()
