"""Sample quality: a classifier's features, and what is measured on them."""
