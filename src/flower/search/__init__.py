"""The search language: text → tree → readers (SQL in the store, `match` in memory)."""
