"""The evidence log p(x) of trained networks: exact on a grid for n <= 2, annealed beyond."""
