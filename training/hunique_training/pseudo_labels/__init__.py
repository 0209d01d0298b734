"""Pseudo-labels: what the assignment network tells the online network about pixels."""
