"""Request bodies, read strictly: a number is no string, an unknown field is an error, and all errors are told at once.

msgspec stops at the first error; so a body that does not fit is gone through again, field by field. That costs only
those who send what does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from inspect import isclass
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

import msgspec
from litestar.dto import AbstractDTO
from litestar.typing import FieldDefinition

from spaces_ctl.api.errors import FieldError, InvalidRequest
from spaces_ctl.service.errors import ServiceError

__all__ = ["StrictBody", "errors_of", "read_json"]

_JSON = re.compile(r"^application/(?:json|[\w.-]+\+json)\s*(?:;.*)?$", re.IGNORECASE)


def read_json(raw: bytes, kind: Any) -> Any:
    """Reads JSON as `kind`. Raises InvalidRequest with every error, ServiceError (`request.malformed`)."""
    try:
        return _decoder(kind).decode(raw)
    except msgspec.ValidationError as error:
        first = str(error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ServiceError("request.malformed", f"The body is not valid JSON: {error}") from error
    try:
        tree = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ServiceError("request.malformed", f"The body is not valid JSON: {error}") from error
    raise InvalidRequest(list(errors_of(tree, kind)) or [FieldError(where="body", pointer="", detail=first)])


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def errors_of(tree: Any, kind: Any, pointer: str = "") -> Iterator[FieldError]:
    """Everything that keeps `tree` (plain JSON values) from being a `kind`."""
    try:
        msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        parts = list(_parts(tree, _plain(kind), pointer))
        if parts:
            yield from parts
        else:
            yield FieldError(where="body", pointer=pointer, detail=str(error).split(" - at `$")[0])


def _parts(tree: Any, kind: Any, pointer: str) -> Iterator[FieldError]:
    """The errors of an object's fields or of an array's items; nothing if the value itself is wrong."""
    if isclass(kind) and issubclass(kind, msgspec.Struct) and isinstance(tree, dict):
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        for name, field in fields.items():
            if name in tree:
                yield from errors_of(tree[name], field.type, f"{pointer}/{_escaped(name)}")
            elif field.required:
                yield FieldError(where="body", pointer=f"{pointer}/{_escaped(name)}", detail="Is required")
        if kind.__struct_config__.forbid_unknown_fields:
            for name in tree.keys() - fields.keys():
                yield FieldError(where="body", pointer=f"{pointer}/{_escaped(name)}", detail="Is not known")
    elif get_origin(kind) in (list, tuple, set, frozenset) and isinstance(tree, list):
        items = get_args(kind)
        if get_origin(kind) is not tuple or items[1:] == (...,):
            for index, item in enumerate(tree):
                yield from errors_of(item, items[0], f"{pointer}/{index}")


def _plain(kind: Any) -> Any:
    """Without constraints and `None`."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        others = [part for part in get_args(kind) if part is not NoneType]
        return _plain(others[0]) if len(others) == 1 else kind
    return kind


def _escaped(name: str) -> str:
    """A token of a JSON pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


class StrictBody(AbstractDTO[Any]):
    """The application's way to read `data`: `Litestar(dto=StrictBody, return_dto=None)`.

    JSON becomes exactly the annotated type; forms (OAuth) are converted leniently, as everything in them is text.
    """

    _kinds: ClassVar[dict[str, Any]] = {}

    def decode_bytes(self, value: bytes) -> Any:
        """Reads a JSON body. Raises ServiceError, InvalidRequest."""
        kind = self._kinds[self.asgi_connection.route_handler.handler_id]
        if kind is bytes:
            return value
        content_type = self.asgi_connection.headers.get("content-type", "")
        if not _JSON.match(content_type):
            raise ServiceError("request.media_type")
        return read_json(value, kind)

    def decode_builtins(self, value: Any) -> Any:
        """Reads a form. Raises InvalidRequest."""
        kind = self._kinds[self.asgi_connection.route_handler.handler_id]
        try:
            return msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as error:
            found = list(errors_of(value, kind)) or [FieldError(where="body", pointer="", detail=str(error))]
            raise InvalidRequest(found) from error

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Remembers what the handler wants."""
        cls._kinds[handler_id] = field_definition.annotation

    @classmethod
    def create_openapi_schema(cls, field_definition: FieldDefinition, handler_id: str, schema_creator: Any) -> Any:
        """The type's own schema."""
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def is_supported_model_type_field(cls, field_definition: FieldDefinition) -> bool:
        """Answers are left alone."""
        return False

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Any:
        """Not used: nothing is derived from a model."""
        raise NotImplementedError

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """Not used: nothing is derived from a model."""
        raise NotImplementedError
