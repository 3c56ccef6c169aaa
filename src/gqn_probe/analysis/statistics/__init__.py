"""What the numbers allow to say: intervals, scores, similarity, the headline."""
