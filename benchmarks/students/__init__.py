"""What moves a student of ResNet-56, and what does not."""
