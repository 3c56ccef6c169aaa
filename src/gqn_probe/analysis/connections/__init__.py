"""What leads from r into the generator: what drives its gates, and what is lost without parts of r or views."""
