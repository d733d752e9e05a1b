"""Settings of every test run: figures are drawn without a display, and no seed or mirror leaks in from outside."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")
if "COURSE_DATA_MIRROR" in os.environ:  # for the tests of the readers alone, see tests/data_fixtures.py
    os.environ["COURSE_TEST_MIRROR"] = os.environ["COURSE_DATA_MIRROR"]
for name in ("COURSE_SEED", "COURSE_CLAIMS", "COURSE_DATA_MIRROR"):
    os.environ.pop(name, None)
