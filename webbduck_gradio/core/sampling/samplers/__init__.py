"""The samplers: pure functions of their state, one file for each family."""
