"""The kinds of experiment: retrieval, negation (a caption and a negative), editing (a caption or track and a wish)."""

from bench.tasks._truth import TruthMasks, oracle_mid_ranks
from bench.tasks.common import (
    TOP,
    Reference,
    SpreadSettings,
    TrueTracks,
    Twins,
    gallery_of,
    references_of,
    true_tracks,
    twins_of,
)
from bench.tasks.editing import EditTask
from bench.tasks.negation import NegationTask
from bench.tasks.retrieval import RetrievalTask
from bench.tasks.track_editing import RealEdits, TrackEditTask, real_edits

__all__ = [
    "TOP", "EditTask", "NegationTask", "RealEdits", "Reference", "RetrievalTask", "SpreadSettings", "TrackEditTask",
    "TrueTracks", "TruthMasks", "Twins", "gallery_of", "oracle_mid_ranks", "real_edits", "references_of", "true_tracks",
    "twins_of",
]  # fmt: skip
