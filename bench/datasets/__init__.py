"""Datasets: tracks, captions, splits and, where it is known, the truth about each track."""
