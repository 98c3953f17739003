"""Modifiers that need a generative retriever."""
