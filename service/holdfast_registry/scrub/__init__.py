"""The scrub: reads everything that is stored, again and again, and repairs what can be repaired."""
