"""Dense layers, random streams and Adam: what needs nothing else of this package.

An edit here needs an attestation, see `runs/sources.py`.
"""
