"""What tries one environment's identities on another environment's possessions, a kind of server each."""
