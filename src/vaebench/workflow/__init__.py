"""What Snakemake's rules ask of the package."""
