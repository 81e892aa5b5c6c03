"""Rates as people write them: `20MB/s`, `1.5MiB/s`, `off`."""

import re

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(|[kmgt]|[kmgt]b|[kmgt]ib|b)(?:/s)?")
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_RATE_MAX = 1 << 50


def parse_rate(text: str) -> int:
    """Bytes a second; 0: no limit.  KB, MB, GB are powers of 1000, KiB, MiB, GiB of 1024.

    Raises:
        ValueError: the text is no rate, or one under which nothing would ever move.
    """
    compact = text.strip().lower()
    if compact in ("", "off", "none"):
        return 0
    found = _RATE.fullmatch(compact)
    if found is None:
        raise ValueError(f"{text!r} is not a rate; write for example 20MB/s, 500KiB/s or off")
    number, unit = found.groups()
    base = 1024 if unit.endswith("ib") else 1000
    rate = int(float(number) * base ** _POWERS.get(unit[:1], 0))
    if not 1 <= rate <= _RATE_MAX:
        raise ValueError(f"{text!r} is no rate to transfer at; write for example 20MB/s, or off for no limit")
    return rate
