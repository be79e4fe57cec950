"""Questions about a formula, a config or a run: its derivatives, whether they are right, where descent is stable."""
