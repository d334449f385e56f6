"""Draws the tables and the examples of the specification: `make docs`.

Example:
    $ python -m scripts.spec_tables          # redraws the pages
    $ python -m scripts.spec_tables --check  # fails where a page is stale
"""

import argparse
import sys

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    ServiceDescriptorProto,
)
from google.rpc import code_pb2

from consilience.v1 import error_reason_pb2
from scripts.spec_descriptors import PACKAGE, Element, constraints, elements, rules_between_fields
from scripts.spec_examples import example
from scripts.spec_regions import pages, redrawn, region_names
from scripts.spec_rules import rules_in_words

_EXAMPLE = "Example: "


def table(full_name: str) -> str:
    """Returns heading, comment and fields of a message; of an enum, its values; of a service, its methods.

    Raises:
        KeyError: The package has no element of that name.
    """
    element = elements()[full_name]
    heading = [f"#### `{element.descriptor.name}`", *element.comment]
    match element.descriptor:
        case DescriptorProto(field=fields) as message:
            rows = [_fields(element, message)] if fields else []
            between = "\n".join(f"* {rule}." for rule in rules_between_fields(message))
            rows += ["Between the fields:", between] if between else []
        case EnumDescriptorProto() as enum:
            rows = [_values(element, enum)]
        case ServiceDescriptorProto() as service:
            rows = [_methods(element, service)]
    return "\n\n".join([*heading, *rows])


def catalogue(full_name: str) -> str:
    """Returns the table of reasons, with code, detail and example.

    Raises:
        KeyError: The package has no enum of that name.
    """
    element = elements()[full_name]
    rows = ["| no. | reason | gRPC code | detail | meaning | example |", "|---|---|---|---|---|---|"]
    if not isinstance(element.descriptor, EnumDescriptorProto):
        raise KeyError(full_name)
    for index, value in enumerate(element.descriptor.value):
        if not value.number:
            continue
        meaning, _, instance = " ".join(element.comment_of(index)).partition(_EXAMPLE)
        code = code_pb2.Code.Name(value.options.Extensions[error_reason_pb2.grpc_code])
        detail = value.options.Extensions[error_reason_pb2.detail_message]
        reason = value.name.removeprefix("ERROR_REASON_")
        named = f"`{detail}`" if detail else ""
        rows.append(f"| {value.number} | `{reason}` | `{code}` | {named} | {_cell([meaning])} | {_cell([instance])} |")
    return "\n".join(rows)


def _fields(element: Element, message: DescriptorProto) -> str:
    rows = ["| no. | field | type | rules | meaning |", "|---|---|---|---|---|"]
    for index, field in enumerate(message.field):
        rules = _cell([", ".join(rules_in_words(constraints(field)))])
        meaning = _cell(element.comment_of(index))
        rows.append(f"| {field.number} | `{field.name}` | {_type(field, message)} | {rules} | {meaning} |")
    return "\n".join(rows)


def _values(element: Element, enum: EnumDescriptorProto) -> str:
    rows = ["| no. | value | meaning |", "|---|---|---|"]
    for index, value in enumerate(enum.value):
        rows.append(f"| {value.number} | `{value.name}` | {_cell(element.comment_of(index))} |")
    return "\n".join(rows)


def _methods(element: Element, service: ServiceDescriptorProto) -> str:
    rows = ["| method | takes | gives | meaning |", "|---|---|---|---|"]
    for index, method in enumerate(service.method):
        gives = ("stream of " if method.server_streaming else "") + _link(method.output_type)
        meaning = _cell(element.comment_of(index))
        rows.append(f"| `{method.name}` | {_link(method.input_type)} | {gives} | {meaning} |")
    return "\n".join(rows)


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    """Returns the type of a field, with its label, and a link where its table stands in the specification."""
    entry = next((nested for nested in message.nested_type if field.type_name.endswith(f".{nested.name}")), None)
    if entry is not None and entry.options.map_entry:
        key, value = entry.field
        return f"map of {_type(key, entry)} to {_type(value, entry)}"
    kind = _link(field.type_name) if field.type_name else _scalar(field)
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {kind}"
    return f"optional {kind}" if field.proto3_optional else kind


def _scalar(field: FieldDescriptorProto) -> str:
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _link(type_name: str) -> str:
    full_name = type_name.removeprefix(".")
    short = full_name.removeprefix(f"{PACKAGE}.")
    page = next((page for page in pages() if full_name in region_names(page.read_text(), kind="table")), None)
    return f"[`{short}`]({page.name}#{short.lower()})" if page is not None else f"`{short}`"


def _cell(paragraphs: list[str]) -> str:
    return "<br>".join(paragraphs).replace("|", "\\|").strip()


DRAWINGS = {"table": table, "catalogue": catalogue, "example": example}


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Draw the tables and examples of the specification.")
    parser.add_argument("--check", action="store_true", help="change nothing, and fail where a page is stale")
    check: bool = parser.parse_args().check
    stale = []
    for page in pages():
        text = page.read_text()
        fresh = redrawn(text, drawings=DRAWINGS)
        if fresh != text:
            stale.append(page.name)
            if not check:
                page.write_text(fresh)
    if stale:
        print(("stale: " if check else "drew: ") + ", ".join(stale))
    if check and stale:
        sys.exit("run `make docs`")


if __name__ == "__main__":
    main()
