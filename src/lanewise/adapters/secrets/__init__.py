"""Where secrets are kept: one class a scheme, and one door to all of them."""
