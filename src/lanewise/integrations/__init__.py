"""Glue that runs inside other people's orchestrators: it imports the runtime, and that orchestrator, alone.

Each package here is small. What it needs to know stands on the road sign (``lanewise.runtime.sign``); what it must do
that takes more than that, it asks ``lane`` for, as a child process in Lanewise's own interpreter (``lane``).
"""
