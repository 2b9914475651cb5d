"""The stories, a page each: every one is handed a ``Context`` and acts through its ports."""
