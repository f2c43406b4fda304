"""Another Leaf, written from Leaf's documentation alone: it knows nothing of ours."""
