"""What is shown: shapes, cameras, and the renderer."""
