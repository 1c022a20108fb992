"""Recipes that train the learned methods (Judge Q, Meta-Soft, IndexMem) for a model: see README.md."""
