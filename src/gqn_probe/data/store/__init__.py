"""The store of scenes: index, shards, their writer and reader."""
