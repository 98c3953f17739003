"""Reports: tables, figures, claims and pages, built from results on disk."""
