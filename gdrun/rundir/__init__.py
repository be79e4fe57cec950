"""Run directories: the only code that writes, finds or reads them. Standard library and numpy alone."""
