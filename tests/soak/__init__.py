"""`python -m tests.soak`: seeded rounds of faults and kills, and the truth that files are held against."""
