"""Settings of every test run: figures are drawn without a display, and no seed or mirror leaks in from outside."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
for name in ("COURSE_SEED", "COURSE_CLAIMS", "COURSE_DATA_MIRROR"):
    os.environ.pop(name, None)
