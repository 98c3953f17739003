"""gdr-bench: compare ways of turning text into a query for music retrieval."""

__version__ = "0.1.0"
