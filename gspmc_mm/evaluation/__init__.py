"""Reading results: accuracy, significance, signer folds, predictions on disk, provenance."""

from .accuracy import class_means, per_class_accuracy, top_k_hits
from .folds import accuracy_summary, compare_pair, fold_report, pool_folds
from .intervals import McNemar, mcnemar, wilson_interval
from .metrics import SignAccuracy
from .predictions import (
    Predictions,
    PredictionsError,
    align,
    check_clips,
    load_predictions,
    save_predictions,
)
from .provenance import config_hash, config_inputs, fingerprint, gather_provenance, write_json
from .resuming import ValidateResumedEpochHook

__all__ = [
    "McNemar",
    "Predictions",
    "PredictionsError",
    "SignAccuracy",
    "ValidateResumedEpochHook",
    "accuracy_summary",
    "align",
    "check_clips",
    "class_means",
    "compare_pair",
    "config_hash",
    "config_inputs",
    "fingerprint",
    "fold_report",
    "gather_provenance",
    "load_predictions",
    "mcnemar",
    "per_class_accuracy",
    "pool_folds",
    "save_predictions",
    "top_k_hits",
    "wilson_interval",
    "write_json",
]
