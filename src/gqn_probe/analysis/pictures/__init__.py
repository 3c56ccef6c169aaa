"""What a study shows: the viewer's images, decoded cubes, and how far predicted images can be trusted."""
