"""The model that all runs share: forward pass, layers, optimiser and random streams.

An edit here needs an attestation, see `runs/sources.py`.
"""
