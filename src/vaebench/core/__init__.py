"""What every network, objective and likelihood is computed with.

An edit here needs an attestation, see `runs/sources.py`.
"""
