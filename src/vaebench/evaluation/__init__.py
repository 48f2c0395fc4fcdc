"""What is measured on a trained pack."""
