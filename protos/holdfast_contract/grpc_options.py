"""The option that every gRPC channel of ours has, whoever makes it."""

from __future__ import annotations

from typing import Any, Final

NO_GRPC_RETRIES: Final[tuple[str, Any]] = ("grpc.enable_retries", 0)
"""gRPC repeats nothing by itself.

Two reasons.  What may be repeated follows from the reason of an error, which gRPC does not know.  And a stream of requests that begins
in the moment in which the other side ends can be lost between two of gRPC's own attempts (seen with 1.76 to 1.85, in 1 to 5 of 100
such moments): its status arrives, what waits for its messages is never told, and neither deadline nor `cancel` ends that.
"""
