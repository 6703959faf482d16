"""Reading results: accuracy, significance, signer folds, predictions on disk, provenance."""

from .accuracy import class_means, per_class_accuracy, top_k_hits
from .corruptions import CORRUPTIONS, CorruptSkeleton
from .estimates import estimate_accuracy
from .folds import accuracy_summary, compare_pair, fold_report, pool_folds
from .fusion import fit_weights, fuse
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
from .provenance import config_hash, config_inputs, fingerprint, gather_provenance
from .results import read_record, read_records, write_record
from .resuming import ValidateResumedEpochHook
from .signer_bootstrap import bootstrap_difference, bootstrap_mean, bootstrap_per_class

__all__ = [
    "CORRUPTIONS",
    "CorruptSkeleton",
    "McNemar",
    "Predictions",
    "PredictionsError",
    "SignAccuracy",
    "ValidateResumedEpochHook",
    "accuracy_summary",
    "align",
    "bootstrap_difference",
    "bootstrap_mean",
    "bootstrap_per_class",
    "check_clips",
    "class_means",
    "compare_pair",
    "config_hash",
    "config_inputs",
    "estimate_accuracy",
    "fingerprint",
    "fit_weights",
    "fold_report",
    "fuse",
    "gather_provenance",
    "load_predictions",
    "mcnemar",
    "per_class_accuracy",
    "pool_folds",
    "read_record",
    "read_records",
    "save_predictions",
    "top_k_hits",
    "wilson_interval",
    "write_record",
]
