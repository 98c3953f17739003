"""Modifiers that any retriever, or any space with a text tower, allows."""
