"""Coppice in Python.

``coppice.program`` turns a training loop into a program that a sweep can run. ``coppice.client``
reads and steers sweeps. Both need nothing beyond the standard library.
"""

__version__ = "0.1.0"
