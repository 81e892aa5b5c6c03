"""`python -m holdfast_registry`: serve, init, token, fsck."""

from __future__ import annotations

import sys

from holdfast_registry.commands import main

sys.exit(main())
