"""Counts the requests of an S3 client by its own events, so that whoever makes one need not."""

from __future__ import annotations

from typing import Any

from holdfast_registry.metrics.tallies import StoreTally


def count_requests(client: Any, tally: StoreTally) -> None:
    """Counts what this client asks from now on; what daemons ask by granted addresses is not seen here.

    Args:
        client: of aiobotocore.
        tally: is raised in the client's thread.
    """

    def answered(http_response: Any, parsed: dict[str, Any], model: Any, **_: object) -> None:
        failed = http_response.status_code >= 300
        code = parsed.get("Error", {}).get("Code") or str(http_response.status_code)
        tally.note(model.name, str(code) if failed else "ok")

    def not_answered(exception: BaseException, event_name: str, **_: object) -> None:
        tally.note(event_name.rpartition(".")[2], type(exception).__name__)

    def tried(operation: Any, attempts: int, **_: object) -> None:
        if attempts > 1:
            tally.note_retry(operation.name)

    client.meta.events.register("after-call.s3", answered)
    client.meta.events.register("after-call-error.s3", not_answered)
    client.meta.events.register("needs-retry.s3", tried)
