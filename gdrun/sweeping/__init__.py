"""Sweeps: many trials of one experiment as lanes of one program."""
