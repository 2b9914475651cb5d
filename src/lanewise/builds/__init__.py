"""Files to one digest-named Build: what is taken, how it is named, how two of them differ."""
