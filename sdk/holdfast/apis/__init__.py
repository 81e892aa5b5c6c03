"""Where W&B's scripts look for the public API: `from holdfast.apis.public import Api`."""

from holdfast.apis import public

__all__ = ["public"]
