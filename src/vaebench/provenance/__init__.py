"""The origin of results: manifests, metadata of figures and tables, verification and traces."""
