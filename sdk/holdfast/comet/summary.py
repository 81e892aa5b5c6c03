"""`Summary`: counts what an experiment has sent and brought; Comet prints it as a table at the end of each experiment."""

from __future__ import annotations

import threading
from typing import Any

TOPICS = ("data", "uploads", "others", "downloads", "parameters", "metrics", "system-info")


class Summary:
    """Counters by topic and section.  Thread-safe."""

    def __init__(self, experiment_name: str = "") -> None:
        """Makes a summary with nothing counted.

        Args:
            experiment_name: whose summary it is.
        """
        self.experiment_name = experiment_name
        self._lock = threading.Lock()
        self._counts: dict[str, dict[str, list[int]]] = {topic: {} for topic in TOPICS}

    def increment_section(
        self, topic: str, section: str, size: int | None = None, framework: str | None = None, count: int = 1
    ) -> None:
        """Counts something.

        Args:
            topic: one of `TOPICS`.
            section: what it is, for example "artifact assets".
            size: its bytes, where that says something.
            framework: accepted for compatibility.
            count: how many of them.

        Raises:
            ValueError: another topic.
        """
        if topic not in self._counts:
            raise ValueError(f"topic must be one of {', '.join(TOPICS)}, not {topic!r:.200}")
        with self._lock:
            counted = self._counts[topic].setdefault(section, [0, 0])
            counted[0] += count
            counted[1] += size or 0

    def generate_summary(self, level: str) -> dict[str, dict[str, Any]]:
        """Returns what was counted: by topic and section how many, and how many bytes where there were any.

        Args:
            level: accepted for compatibility; topics of which nothing was counted are left out.
        """
        with self._lock:
            return {
                topic: {
                    section: {"count": count, "size_bytes": size} if size else {"count": count}
                    for section, (count, size) in sorted(sections.items())
                }
                for topic, sections in self._counts.items()
                if sections
            }
