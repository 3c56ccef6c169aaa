"""Where scenes come from, each in pieces that become shards of a store."""
