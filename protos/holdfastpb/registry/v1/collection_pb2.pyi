from holdfastpb.registry.v1 import version_pb2 as _version_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CollectionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLLECTION_KIND_UNSPECIFIED: _ClassVar[CollectionKind]
    COLLECTION_KIND_SEQUENCE: _ClassVar[CollectionKind]
    COLLECTION_KIND_PORTFOLIO: _ClassVar[CollectionKind]
COLLECTION_KIND_UNSPECIFIED: CollectionKind
COLLECTION_KIND_SEQUENCE: CollectionKind
COLLECTION_KIND_PORTFOLIO: CollectionKind

class Collection(_message.Message):
    __slots__ = ("entity", "project", "name", "type", "description", "created_at_ms", "updated_at_ms", "version_count", "latest_version_index", "latest_size_bytes", "collection_id", "kind", "tags", "ttl", "aliases", "has_description")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    VERSION_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_INDEX_FIELD_NUMBER: _ClassVar[int]
    LATEST_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    HAS_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    name: str
    type: str
    description: str
    created_at_ms: int
    updated_at_ms: int
    version_count: int
    latest_version_index: int
    latest_size_bytes: int
    collection_id: str
    kind: CollectionKind
    tags: _containers.RepeatedScalarFieldContainer[str]
    ttl: _version_pb2.Ttl
    aliases: _containers.RepeatedScalarFieldContainer[str]
    has_description: bool
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., name: _Optional[str] = ..., type: _Optional[str] = ..., description: _Optional[str] = ..., created_at_ms: _Optional[int] = ..., updated_at_ms: _Optional[int] = ..., version_count: _Optional[int] = ..., latest_version_index: _Optional[int] = ..., latest_size_bytes: _Optional[int] = ..., collection_id: _Optional[str] = ..., kind: _Optional[_Union[CollectionKind, str]] = ..., tags: _Optional[_Iterable[str]] = ..., ttl: _Optional[_Union[_version_pb2.Ttl, _Mapping]] = ..., aliases: _Optional[_Iterable[str]] = ..., has_description: bool = ...) -> None: ...

class GetCollectionRequest(_message.Message):
    __slots__ = ("entity", "project", "name", "collection_id")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_ID_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    name: str
    collection_id: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., name: _Optional[str] = ..., collection_id: _Optional[str] = ...) -> None: ...

class GetCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class ListCollectionsRequest(_message.Message):
    __slots__ = ("entity", "project", "type", "page_size", "page_token", "filter_json", "order", "only_registries", "registry_filter_json")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_JSON_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    ONLY_REGISTRIES_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_FILTER_JSON_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    type: str
    page_size: int
    page_token: str
    filter_json: str
    order: str
    only_registries: bool
    registry_filter_json: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ..., type: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter_json: _Optional[str] = ..., order: _Optional[str] = ..., only_registries: bool = ..., registry_filter_json: _Optional[str] = ...) -> None: ...

class ListCollectionsResponse(_message.Message):
    __slots__ = ("collections", "next_page_token", "total_count")
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[Collection]
    next_page_token: str
    total_count: int
    def __init__(self, collections: _Optional[_Iterable[_Union[Collection, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_count: _Optional[int] = ...) -> None: ...

class UpdateCollectionRequest(_message.Message):
    __slots__ = ("request_id", "collection_id", "new_name", "new_type", "set_description", "description", "description_is_null", "tags_to_add", "tags_to_remove", "set_ttl", "ttl")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    NEW_TYPE_FIELD_NUMBER: _ClassVar[int]
    SET_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_IS_NULL_FIELD_NUMBER: _ClassVar[int]
    TAGS_TO_ADD_FIELD_NUMBER: _ClassVar[int]
    TAGS_TO_REMOVE_FIELD_NUMBER: _ClassVar[int]
    SET_TTL_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    collection_id: str
    new_name: str
    new_type: str
    set_description: bool
    description: str
    description_is_null: bool
    tags_to_add: _containers.RepeatedScalarFieldContainer[str]
    tags_to_remove: _containers.RepeatedScalarFieldContainer[str]
    set_ttl: bool
    ttl: _version_pb2.Ttl
    def __init__(self, request_id: _Optional[str] = ..., collection_id: _Optional[str] = ..., new_name: _Optional[str] = ..., new_type: _Optional[str] = ..., set_description: bool = ..., description: _Optional[str] = ..., description_is_null: bool = ..., tags_to_add: _Optional[_Iterable[str]] = ..., tags_to_remove: _Optional[_Iterable[str]] = ..., set_ttl: bool = ..., ttl: _Optional[_Union[_version_pb2.Ttl, _Mapping]] = ...) -> None: ...

class UpdateCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class DeleteCollectionRequest(_message.Message):
    __slots__ = ("request_id", "collection_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    collection_id: str
    def __init__(self, request_id: _Optional[str] = ..., collection_id: _Optional[str] = ...) -> None: ...

class DeleteCollectionResponse(_message.Message):
    __slots__ = ("versions_deleted",)
    VERSIONS_DELETED_FIELD_NUMBER: _ClassVar[int]
    versions_deleted: int
    def __init__(self, versions_deleted: _Optional[int] = ...) -> None: ...

class CreatePortfolioRequest(_message.Message):
    __slots__ = ("request_id", "entity", "project", "name", "type", "description")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    entity: str
    project: str
    name: str
    type: str
    description: str
    def __init__(self, request_id: _Optional[str] = ..., entity: _Optional[str] = ..., project: _Optional[str] = ..., name: _Optional[str] = ..., type: _Optional[str] = ..., description: _Optional[str] = ...) -> None: ...

class CreatePortfolioResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class ListTypesRequest(_message.Message):
    __slots__ = ("entity", "project")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    entity: str
    project: str
    def __init__(self, entity: _Optional[str] = ..., project: _Optional[str] = ...) -> None: ...

class ListTypesResponse(_message.Message):
    __slots__ = ("types",)
    TYPES_FIELD_NUMBER: _ClassVar[int]
    types: _containers.RepeatedCompositeFieldContainer[ArtifactType]
    def __init__(self, types: _Optional[_Iterable[_Union[ArtifactType, _Mapping]]] = ...) -> None: ...

class ArtifactType(_message.Message):
    __slots__ = ("name", "collection_count", "created_at_ms")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    name: str
    collection_count: int
    created_at_ms: int
    def __init__(self, name: _Optional[str] = ..., collection_count: _Optional[int] = ..., created_at_ms: _Optional[int] = ...) -> None: ...

class Project(_message.Message):
    __slots__ = ("entity", "name", "description", "ttl", "is_registry", "visibility", "artifact_types", "created_at_ms", "updated_at_ms", "project_id", "has_description")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    IS_REGISTRY_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_TYPES_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    HAS_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    entity: str
    name: str
    description: str
    ttl: _version_pb2.Ttl
    is_registry: bool
    visibility: str
    artifact_types: _containers.RepeatedScalarFieldContainer[str]
    created_at_ms: int
    updated_at_ms: int
    project_id: str
    has_description: bool
    def __init__(self, entity: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., ttl: _Optional[_Union[_version_pb2.Ttl, _Mapping]] = ..., is_registry: bool = ..., visibility: _Optional[str] = ..., artifact_types: _Optional[_Iterable[str]] = ..., created_at_ms: _Optional[int] = ..., updated_at_ms: _Optional[int] = ..., project_id: _Optional[str] = ..., has_description: bool = ...) -> None: ...

class ListProjectsRequest(_message.Message):
    __slots__ = ("entity", "only_registries", "filter_json", "order", "page_size", "page_token")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    ONLY_REGISTRIES_FIELD_NUMBER: _ClassVar[int]
    FILTER_JSON_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    entity: str
    only_registries: bool
    filter_json: str
    order: str
    page_size: int
    page_token: str
    def __init__(self, entity: _Optional[str] = ..., only_registries: bool = ..., filter_json: _Optional[str] = ..., order: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListProjectsResponse(_message.Message):
    __slots__ = ("projects", "next_page_token", "total_count")
    PROJECTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_COUNT_FIELD_NUMBER: _ClassVar[int]
    projects: _containers.RepeatedCompositeFieldContainer[Project]
    next_page_token: str
    total_count: int
    def __init__(self, projects: _Optional[_Iterable[_Union[Project, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_count: _Optional[int] = ...) -> None: ...

class GetProjectRequest(_message.Message):
    __slots__ = ("entity", "name")
    ENTITY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    entity: str
    name: str
    def __init__(self, entity: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class GetProjectResponse(_message.Message):
    __slots__ = ("project",)
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    project: Project
    def __init__(self, project: _Optional[_Union[Project, _Mapping]] = ...) -> None: ...

class CreateProjectRequest(_message.Message):
    __slots__ = ("request_id", "project")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    project: Project
    def __init__(self, request_id: _Optional[str] = ..., project: _Optional[_Union[Project, _Mapping]] = ...) -> None: ...

class CreateProjectResponse(_message.Message):
    __slots__ = ("project",)
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    project: Project
    def __init__(self, project: _Optional[_Union[Project, _Mapping]] = ...) -> None: ...

class UpdateProjectRequest(_message.Message):
    __slots__ = ("request_id", "project_id", "new_name", "set_description", "description", "set_ttl", "ttl", "visibility", "artifact_types_to_add", "set_allow_all_types", "allow_all_types")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    SET_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SET_TTL_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_TYPES_TO_ADD_FIELD_NUMBER: _ClassVar[int]
    SET_ALLOW_ALL_TYPES_FIELD_NUMBER: _ClassVar[int]
    ALLOW_ALL_TYPES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    project_id: str
    new_name: str
    set_description: bool
    description: str
    set_ttl: bool
    ttl: _version_pb2.Ttl
    visibility: str
    artifact_types_to_add: _containers.RepeatedScalarFieldContainer[str]
    set_allow_all_types: bool
    allow_all_types: bool
    def __init__(self, request_id: _Optional[str] = ..., project_id: _Optional[str] = ..., new_name: _Optional[str] = ..., set_description: bool = ..., description: _Optional[str] = ..., set_ttl: bool = ..., ttl: _Optional[_Union[_version_pb2.Ttl, _Mapping]] = ..., visibility: _Optional[str] = ..., artifact_types_to_add: _Optional[_Iterable[str]] = ..., set_allow_all_types: bool = ..., allow_all_types: bool = ...) -> None: ...

class UpdateProjectResponse(_message.Message):
    __slots__ = ("project",)
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    project: Project
    def __init__(self, project: _Optional[_Union[Project, _Mapping]] = ...) -> None: ...

class DeleteRegistryRequest(_message.Message):
    __slots__ = ("request_id", "project_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    project_id: str
    def __init__(self, request_id: _Optional[str] = ..., project_id: _Optional[str] = ...) -> None: ...

class DeleteRegistryResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
