"""Trying a build on a part of the partitions: ``choice`` picks them, ``judge`` compares old with new, ``bound``
says what a clean result proves, ``report`` lays the comparison out. All of it is pure."""
