"""A channel to the registry that can be made anew under its stubs, since gRPC reads certificates only when a channel is made."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc.aio

OLD_CALLS_S = 300.0
"""For calls that are under way over the channel before; a registry gives its connections no longer either."""


class RegistryChannel:
    """Makes calls over whatever channel is the newest when a call begins; calls that are under way end where they began.

    Args:
        connect: makes a channel.
    """

    def __init__(self, connect: Callable[[], grpc.aio.Channel]) -> None:
        self._connect = connect
        self.newest = connect()
        self._leaving: set[asyncio.Task[None]] = set()

    def unary_unary(self, *arguments: Any, **named: Any) -> Callable[..., Any]:
        """As a channel's."""
        return _Method(self, "unary_unary", arguments, named)

    def unary_stream(self, *arguments: Any, **named: Any) -> Callable[..., Any]:
        """As a channel's."""
        return _Method(self, "unary_stream", arguments, named)

    def stream_unary(self, *arguments: Any, **named: Any) -> Callable[..., Any]:
        """As a channel's."""
        return _Method(self, "stream_unary", arguments, named)

    def renew(self) -> None:
        """Makes another channel; calls that begin from now on go over that one."""
        before, self.newest = self.newest, self._connect()
        leaving = asyncio.create_task(before.close(OLD_CALLS_S))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Ends all channels with their calls."""
        for leaving in list(self._leaving):
            leaving.cancel()
        await self.newest.close(None)


class _Method:
    """One method of a service, over the newest channel."""

    def __init__(self, channel: RegistryChannel, kind: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._channel = channel
        self._kind = kind
        self._arguments = arguments
        self._named = named
        self._over: grpc.aio.Channel | None = None
        self._callable: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self._callable is None or self._over is not self._channel.newest:
            self._over = self._channel.newest
            self._callable = getattr(self._over, self._kind)(*self._arguments, **self._named)
        return self._callable(*arguments, **named)
