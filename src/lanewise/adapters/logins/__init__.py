"""Logging in to what a connection names, and out again: to prove a secret. Changes nothing there."""
