"""The built-in gates, a file each: its docstring is its page in docs/reference/gates.md.

Beside them stand what gates share: ``arguments`` (reading a gate's arguments), ``evidence`` (whether evidence may
be judged at all), ``outcome`` (what a command showed) and ``columns`` (how two sets of columns differ).
"""
