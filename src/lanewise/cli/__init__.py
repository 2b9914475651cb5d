"""One file per command; ``app`` lists them in the order of the story."""
