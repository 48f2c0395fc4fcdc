"""What of a trained run depends on the input: its codes, its likelihood and its prior."""
