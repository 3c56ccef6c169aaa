"""Mental rotation: the same object or its mirror image, by the angle between two views (Shepard & Metzler 1971)."""
