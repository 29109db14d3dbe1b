"""Coppice in Python.

``coppice.program`` turns a training loop into a program that a sweep can run. It needs nothing
beyond the standard library.
"""

__version__ = "0.1.0"
