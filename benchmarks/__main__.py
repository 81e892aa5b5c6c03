"""`python -m benchmarks`: measures Holdfast; see `docs/benchmarks.md`."""

import sys

from benchmarks.run import main

sys.exit(main())
