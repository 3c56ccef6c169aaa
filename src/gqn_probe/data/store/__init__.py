"""The store of scenes: shards, their writer and reader."""
