"""`python -m holdfast_registry.bench`: drives a registry with many clients; see `holdfast bench registry --help`."""

import sys

from holdfast_registry.bench.command import main

sys.exit(main())
