"""The shared module: the artificial language, objectives, models, data, figures, claims and exercise checks."""
