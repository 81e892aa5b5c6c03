"""Delivers calls as a bad network does: twice, at once or much later, and with replies that nobody gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from support.registry_writer import reason_of

DEADLINE_S = 30.0


@dataclass(frozen=True)
class Delivery:
    """What happens to one call."""

    copies_at_once: int = 1
    repeats: int = 0
    """Further deliveries, one after another: the replies before were lost, and the caller asks again."""
    late: Sequence[int] = ()
    """Numbers of earlier calls (modulo their count) that arrive once more just before this one."""


@dataclass(frozen=True)
class Refused:
    """A call that was answered with an error."""

    reason: str


class UnreliableWire:
    """Makes calls; every delivery of one call must have the same answer."""

    def __init__(self) -> None:
        self._sent: list[tuple[Any, Any]] = []

    def call(self, method: Any, request: Any, delivery: Delivery) -> Any:
        """Returns the response, or `Refused`."""
        for number in delivery.late:
            if self._sent:
                self._answers(*self._sent[number % len(self._sent)], 1)
        copy = type(request)()
        copy.CopyFrom(request)
        answers = self._answers(method, request, delivery.copies_at_once)
        for _ in range(delivery.repeats):
            answers += self._answers(method, request, 1)
        if not getattr(answers[-1], "missing_digests", b""):
            # A commit that was told to bring chunks first has not been decided: to repeat it is to commit.
            self._sent.append((method, copy))
        assert all(answer == answers[0] for answer in answers), f"{type(request).__name__}: {answers}"
        return answers[-1]

    @staticmethod
    def _answers(method: Any, request: Any, copies: int) -> list[Any]:
        found: list[Any] = []
        for call in [method.future(request, timeout=DEADLINE_S) for _ in range(copies)]:
            try:
                found.append(_without_clock(call.result()))
            except grpc.RpcError as error:
                found.append(Refused(reason_of(error)))
        return found


def _without_clock(response: Any) -> Any:
    """Clears what may differ between two deliveries: how long a lease still lasts."""
    if response.DESCRIPTOR.fields_by_name.get("lease") is not None and response.HasField("lease"):
        response.lease.ttl_s = 0
    return response
