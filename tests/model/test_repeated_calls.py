"""P4: every call is safe to repeat.  Random calls, delivered up to five times, late and at once, against a model in dicts."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfastpb.registry.v1 import pack_pb2, version_pb2
from support.figures import figure
from support.model import ModelPending, ModelRegistry, ModelVersion
from support.own_registry import OwnRegistry
from support.registry_writer import Content, Registry, bring, make_pack, new_request_id
from support.unreliable_wire import Delivery, Refused, UnreliableWire

EXAMPLES = figure(25, 2000)
STEPS = figure(30, 50)

CONTENTS = [Content.of({f"f{n}": bytes([n]) * 100, "shared": b"in all of them", "empty": b""}) for n in range(4)]
COLLECTIONS = ("one", "two")
ALIASES = ("best", "prod", "old")

deliveries = st.builds(
    Delivery,
    copies_at_once=st.integers(1, 3),
    repeats=st.integers(0, 2),
    late=st.lists(st.integers(0, 1000), max_size=2).map(tuple),
)
steps = st.tuples(
    st.sampled_from(["begin", "upload", "upload", "commit", "commit", "commit", "update", "delete", "abort"]),
    st.integers(0, 1000),
    st.integers(0, 1000),
    st.frozensets(st.sampled_from(ALIASES), max_size=2),
    deliveries,
)


@dataclass
class Begun:
    version_id: str
    lease_id: str
    model: ModelPending


class Example:
    """One run: the registry, as an entity of its own, and the model beside it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._wire = UnreliableWire()
        self._entity = f"e{uuid.uuid4().hex[:16]}"
        self._model = ModelRegistry()
        self._begun: list[Begun] = []
        self._ids: dict[tuple[str, int], str] = {}

    def step(self, what: str, which: int, other: int, names: frozenset[str], delivery: Delivery) -> None:
        if what == "begin" or not self._begun:
            self._begin(COLLECTIONS[which % len(COLLECTIONS)], delivery)
            return
        begun = self._begun[which % len(self._begun)]
        if what == "upload":
            self._upload(begun, CONTENTS[other % len(CONTENTS)], delivery)
        elif what == "commit":
            self._commit(begun, CONTENTS[other % len(CONTENTS)], names, delivery)
        elif what == "abort":
            self._abort(begun, delivery)
        else:
            self._change(what, which, other, names, delivery)

    def _begin(self, collection: str, delivery: Delivery) -> None:
        request = version_pb2.BeginVersionRequest(
            request_id=new_request_id(), entity=self._entity, project="p", collection=collection, type="dataset"
        )
        answer = self._call(self._registry.versions.BeginVersion, request, delivery)
        latest = self._model.latest(collection)
        assert answer.latest_digest == (latest.digest if latest else "")
        self._begun.append(Begun(answer.version_id, answer.lease.lease_id, ModelPending(collection)))

    def _upload(self, begun: Begun, content: Content, delivery: Delivery) -> None:
        digests = list(content.chunks)
        find = pack_pb2.FindMissingRequest(lease_id=begun.lease_id, digests=b"".join(digests))
        found = self._call(self._registry.packs.FindMissing, find, delivery)
        if not begun.model.is_open:
            assert found == Refused("LEASE_EXPIRED")
            return
        missing = [d for i, d in enumerate(digests) if found.missing_bitmap[i // 8] >> (i % 8) & 1]
        assert set(missing) == content.chunks.keys() - self._model.stored
        if not missing:
            return
        pack_id, data = make_pack([content.chunks[digest] for digest in missing])
        intent = pack_pb2.PackIntent(pack_id=pack_id, size_bytes=len(data), chunk_count=len(missing))
        grants = pack_pb2.GrantPacksRequest(lease_id=begun.lease_id, packs=[intent])
        bring(self._call(self._registry.packs.GrantPacks, grants, delivery).grants[0], data)
        seal = pack_pb2.SealPackRequest(lease_id=begun.lease_id, pack_id=pack_id, size_bytes=len(data))
        sealed = self._call(self._registry.packs.SealPack, seal, delivery)
        assert sealed.live_chunks == len(missing)
        self._model.stored |= set(missing)

    def _commit(self, begun: Begun, content: Content, names: frozenset[str], delivery: Delivery) -> None:
        tags = {f"tag {name}" for name in names}
        request = version_pb2.CommitVersionRequest(
            request_id=new_request_id(),
            version_id=begun.version_id,
            lease_id=begun.lease_id,
            artifact_digest=content.digest,
            manifest_root=content.root,
            aliases=sorted(names),
            tags=sorted(tags),
        )
        answer = self._call(self._registry.versions.CommitVersion, request, delivery)
        if not begun.model.is_open:
            assert answer in (Refused("LEASE_EXPIRED"), Refused("VERSION_NOT_PENDING"))
            return
        version, created, missing = self._model.commit(begun.model, content, set(names), tags)
        if version is None:
            told = answer.missing_digests
            assert told
            assert {told[i : i + 32] for i in range(0, len(told), 32)} <= missing
            return
        assert (answer.created, answer.version.version_index) == (created, version.index)
        self._ids[begun.model.collection, version.index] = answer.version.version_id

    def _abort(self, begun: Begun, delivery: Delivery) -> None:
        request = version_pb2.AbortVersionRequest(version_id=begun.version_id)
        self._call(self._registry.versions.AbortVersion, request, delivery)
        begun.model.is_open = False

    def _change(self, what: str, which: int, other: int, names: frozenset[str], delivery: Delivery) -> None:
        live = [(c, v) for c, versions in self._model.versions.items() for v in versions if not v.deleted]
        if not live:
            return
        collection, version = live[which % len(live)]
        if what == "delete":
            self._delete(collection, version, delivery)
        else:
            self._update(collection, version, other, names, delivery)

    def _delete(self, collection: str, version: ModelVersion, delivery: Delivery) -> None:
        request = version_pb2.DeleteVersionRequest(
            request_id=new_request_id(), version_id=self._ids[collection, version.index], delete_aliases=True
        )
        self._call(self._registry.versions.DeleteVersion, request, delivery)
        self._model.delete(collection, version)

    def _update(
        self, collection: str, version: ModelVersion, other: int, names: frozenset[str], delivery: Delivery
    ) -> None:
        remove = [ALIASES[other % len(ALIASES)]]
        add = sorted(names - set(remove))
        request = version_pb2.UpdateVersionRequest(
            request_id=new_request_id(),
            version_id=self._ids[collection, version.index],
            set_description=True,
            description=f"text {other}",
            aliases_to_add=add,
            aliases_to_remove=remove,
        )
        self._call(self._registry.versions.UpdateVersion, request, delivery)
        version.description = f"text {other}"
        held = self._model.aliases.setdefault(collection, {})
        held.update(dict.fromkeys(add, version.index))
        for name in [name for name in remove if held.get(name) == version.index]:
            del held[name]

    def _call(self, method: Any, request: Any, delivery: Delivery) -> Any:
        return self._wire.call(method, request, delivery)

    def check(self) -> None:
        """The registry shows what the model has."""
        shown: dict[str, list[dict[str, Any]]] = {}
        for collection in self._model.versions:
            request = version_pb2.ListVersionsRequest(
                entity=self._entity, project="p", collection=collection, oldest_first=True, page_size=1000
            )
            shown[collection] = [
                {
                    "index": version.version_index,
                    "digest": version.digest,
                    "aliases": list(version.aliases),
                    "tags": sorted(version.tags),
                    "description": version.description,
                }
                for version in self._registry.versions.ListVersions(request, timeout=30).versions
            ]
        assert shown == self._model.state()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    own = OwnRegistry(Path(tmp_path_factory.mktemp("r")), tcp=False)
    own.start()
    registry = Registry(own.address)
    yield registry
    registry.channel.close()
    own.terminate()
    assert own.fsck().returncode == 0


@given(st.lists(steps, min_size=STEPS, max_size=STEPS))
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, database=None)
def test_calls_delivered_again_late_or_at_once_have_the_effect_of_one(registry: Registry, calls: list[Any]) -> None:
    example = Example(registry)
    for call in calls:
        example.step(*call)
    example.check()
