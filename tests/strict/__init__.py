"""Another Leaf, written from Leaf's documentation alone: it has no record of ours."""
