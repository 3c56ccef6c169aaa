"""What people bring: files of frames and cameras, local or remote."""
