"""Models on files: images, folders and videos in; pictures and tables out. No torch."""
