"""Authoring and housekeeping commands behind the Makefile; the lessons live in `notebooks/` and `utils/`."""
