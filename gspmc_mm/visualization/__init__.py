"""The figures: training curves and what else is drawn from results."""

from .curves import CurvesError, TrainingCurves, draw_training_curves, read_training_curves

__all__ = ["CurvesError", "TrainingCurves", "draw_training_curves", "read_training_curves"]
