"""GMCaps, the embedded corpus: composed from known attributes, rendered to audio, captioned by a grammar."""
