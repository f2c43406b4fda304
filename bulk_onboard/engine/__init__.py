"""Where decisions meet the world: the life of one row, the pool, the events check, the run."""
