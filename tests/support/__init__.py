"""What the tests share: a Leaf, a command, growers, secrets, a PostgreSQL server, virtual time."""
