"""From videos to poses: estimators, the main signer, and work on many processes and machines that survives."""

from gspmc_mm.extraction.clip_work import ClipJob, ClipOutcome, Recipe
from gspmc_mm.extraction.detectors import PersonDetector, make_detector
from gspmc_mm.extraction.engines import local_engine, ray_engine
from gspmc_mm.extraction.errors import REASONS, ClipError, ExtractionError
from gspmc_mm.extraction.estimator import ESTIMATORS, LAYOUT, PoseEstimator, Poses, make_estimator
from gspmc_mm.extraction.ledger import read_clips
from gspmc_mm.extraction.merging import merge_stores
from gspmc_mm.extraction.run import Report, RunSettings, run_extraction
from gspmc_mm.extraction.store_folder import at_rest

__all__ = [
    "ESTIMATORS",
    "LAYOUT",
    "REASONS",
    "ClipError",
    "ClipJob",
    "ClipOutcome",
    "ExtractionError",
    "PersonDetector",
    "PoseEstimator",
    "Poses",
    "Recipe",
    "Report",
    "RunSettings",
    "at_rest",
    "local_engine",
    "make_detector",
    "make_estimator",
    "merge_stores",
    "ray_engine",
    "read_clips",
    "run_extraction",
]
