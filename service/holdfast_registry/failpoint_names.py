"""Names of all places at which a test can make the registry die; the crash tests go through every one."""

from __future__ import annotations

FAILPOINTS = (
    "begin.before_commit",
    "begin.after_commit",
    "grant.after_row",
    "seal.after_verify",
    "seal.after_rename",
    "seal.before_commit",
    "seal.after_commit",
    "commit.after_validate",
    "commit.before_commit",
    "commit.after_commit",
    "part.after_validate",
    "part.before_commit",
    "part.after_commit",
    "finish.after_packs",
    "finish.before_commit",
    "finish.after_commit",
    "update.before_commit",
    "update.after_commit",
    "link.before_commit",
    "link.after_commit",
)
