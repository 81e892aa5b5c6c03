"""What a call was about, in words for the audit log, read off its request and response.  Never secrets: only the fields named here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message

from holdfast_registry.domain.access import Scope
from holdfastpb.registry.v1 import access_pb2, admin_pb2, collection_pb2, pack_pb2, registry_pb2, run_pb2, version_pb2

OBJECT_CHARS_MAX = 500
FILES: tuple[FileDescriptor, ...] = tuple(
    module.DESCRIPTOR
    for module in (access_pb2, admin_pb2, collection_pb2, pack_pb2, registry_pb2, run_pb2, version_pb2)
)
_THINGS = ("version", "link", "collection", "project", "run", "token")
"""Messages in a request or response that say what it was about."""
_WORDS = (
    "collection",
    "name",
    "run_id",
    "version_id",
    "collection_id",
    "link_id",
    "project_id",
    "token_id",
    "role",
    "distributed_id",
    "type",
    "new_name",
    "new_type",
    "aliases",
    "aliases_to_add",
    "aliases_to_remove",
    "tags_to_add",
    "tags_to_remove",
    "bytes_max",
    "versions_max",
    "requests_per_s",
    "policy_json",
)
_FLAGS = ("set_description", "set_metadata", "set_ttl", "delete_aliases", "withdrawn", "without_lost_writers", "now")


def response_classes() -> dict[str, type[Message]]:
    """Returns the class of each method's response, by `/package.Service/Method`."""
    return {
        f"/{service.full_name}/{method.name}": message_factory.GetMessageClass(method.output_type)
        for file in FILES
        for service in file.services_by_name.values()
        for method in service.methods
    }


def describe(request: Message, response: Message | None) -> tuple[Scope, str]:
    """Returns where a call has happened, as far as the messages say, and what it was about."""
    scope, words = Scope(), dict[str, str]()
    for message in filter(None, (response, request)):
        for thing in _things(message):
            scope = scope if scope.entity else _scope_of(thing)
            for name, text in _words(thing):
                words.setdefault(name, text)
    text = " ".join(f"{name}={value}" for name, value in words.items())
    return scope, text[:OBJECT_CHARS_MAX]


def _things(message: Any) -> Iterator[Any]:
    yield message
    for name in _THINGS:
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is not None and field.message_type is not None and message.HasField(name):
            yield getattr(message, name)
    if "uses" in message.DESCRIPTOR.fields_by_name:
        for use in message.uses[:1]:  # many come at once, of one daemon's runs
            yield from (use.run, use)


def _scope_of(message: Any) -> Scope:
    fields = message.DESCRIPTOR.fields_by_name
    if "entity" not in fields:
        return Scope()
    if message.DESCRIPTOR.name == "Project":
        return Scope(message.entity, message.name)
    return Scope(message.entity, message.project if "project" in fields else "")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.15g}" if isinstance(value, (int, float)) else ",".join(value)


def _words(message: Any) -> Iterator[tuple[str, str]]:
    fields = message.DESCRIPTOR.fields_by_name
    for name in _WORDS:
        field = fields.get(name)
        if field is None or field.message_type is not None:
            continue
        value = getattr(message, name)
        if value:
            yield name, _text(value)
    if "version_index" in fields:
        yield "version", f"v{message.version_index}"
    for name in _FLAGS:
        if name in fields and getattr(message, name):
            yield name, "yes"
