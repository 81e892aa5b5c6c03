"""What a download does with a file that is there with other content, in Comet's words."""

from __future__ import annotations

from enum import Enum

from holdfastpb.daemon.v1.fetch_pb2 import (
    OVERWRITE_POLICY_FAIL,
    OVERWRITE_POLICY_KEEP,
    OVERWRITE_POLICY_REPLACE,
    OverwritePolicy,
)


class Strategy(Enum):
    """One of three."""

    FAIL = OVERWRITE_POLICY_FAIL
    """An error, before anything is written."""
    PRESERVE = OVERWRITE_POLICY_KEEP
    """It stays, and a warning names it."""
    OVERWRITE = OVERWRITE_POLICY_REPLACE
    """It is replaced."""

    @property
    def policy(self) -> OverwritePolicy:
        """As the daemon calls it."""
        return self.value


def strategy_of(overwrite_strategy: bool | str) -> Strategy:
    """Returns the strategy that `False`, `True` or its name in any case mean.

    Raises:
        ValueError: it is none.
    """
    if overwrite_strategy is False:
        return Strategy.FAIL
    if overwrite_strategy is True:
        return Strategy.OVERWRITE
    if isinstance(overwrite_strategy, str) and overwrite_strategy.upper() in Strategy.__members__:
        return Strategy[overwrite_strategy.upper()]
    raise ValueError(f"Invalid user_overwrite value {overwrite_strategy!r:.200}")
