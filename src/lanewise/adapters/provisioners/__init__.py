"""Give an environment's logins the least rights that work: on the server, and as files for other tools."""
