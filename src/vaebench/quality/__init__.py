"""Sample quality: a classifier, and measures that compare its features of samples and of data."""
