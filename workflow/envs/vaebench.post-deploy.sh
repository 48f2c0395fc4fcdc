# In the project's folder, with the environment of vaebench.yaml active.
python -m pip install --no-deps --no-build-isolation --editable .
